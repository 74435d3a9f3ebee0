"""There is one version, and it is known also where flxdr is not installed as a package, as in its container."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from django.conf import settings

from flxdr.core.version import VERSION
from tests.support.wheel import PACKAGES, build_wheel

BASE = Path(settings.BASE_DIR)


def test_the_wheel_has_the_version_of_the_code(tmp_path: Path) -> None:
    assert tomllib.loads((BASE / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    assert build_wheel(tmp_path).name.startswith(f"flxdr-{VERSION}-")


def test_no_code_needs_the_metadata_of_an_installed_package() -> None:
    asking = [
        str(path.relative_to(BASE))
        for package in PACKAGES
        for path in (BASE / package).rglob("*.py")
        if 'version("flxdr")' in path.read_text()
    ]
    assert asking == []


def test_it_is_read_without_any_other_package() -> None:
    probe = "from flxdr.core.version import VERSION; print(VERSION)"
    done = subprocess.run([sys.executable, "-S", "-c", probe], cwd=BASE, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == VERSION
