"""The project's wheel, built as a release would be, without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.processes import REPOSITORY

PACKAGES = ("flxdr", "federation", "ledger", "privacy", "models_ml")


def build_wheel(folder: Path) -> Path:
    """Build it into `folder`; its path."""
    source = folder / "source"
    source.mkdir()
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("flxdr-*.whl"))
