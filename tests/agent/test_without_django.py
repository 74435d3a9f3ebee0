"""The agent is a program of its own: nothing of the coordinator's framework is in its import graph."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = ("django", "rest_framework", "celery", "kombu", "psycopg", "redis", "gunicorn", "structlog")
PREAMBLE = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)
sys.meta_path.insert(0, Block())
"""


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "OPENBLAS", "FL_"))
    }
    return subprocess.run(
        [sys.executable, "-c", PREAMBLE + code, *arguments],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_block_itself_works() -> None:
    assert "blocked: django" in run("import django").stderr


def test_every_module_of_the_agent_imports() -> None:
    code = """
import importlib, pkgutil, federation.agent
names = [module.name for module in pkgutil.walk_packages(federation.agent.__path__, "federation.agent.")]
assert len(names) > 20, names
for name in names:
    importlib.import_module(name)
"""
    result = run(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("init", "--help")])
def test_the_command_answers(arguments: tuple[str, ...]) -> None:
    result = run("from federation.agent.cli import main; main()", *arguments)
    assert result.returncode == 0, result.stderr
    assert "Usage: " in result.stdout


def test_a_home_is_made(tmp_path: Path) -> None:
    options = ("--org-id", "org-a", "--name", "A", "--coordinator", "http://127.0.0.1:9", "--home", str(tmp_path / "h"))
    result = run("from federation.agent.cli import main; main()", "init", *options)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "h" / "key.json").exists()


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_blas_uses_one_thread_unless_told_otherwise(given: dict[str, str], expected: str) -> None:
    code = """
import os, sys
from federation.agent.cli import main
assert "numpy" not in sys.modules
sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit:
    print("threads", os.environ["OPENBLAS_NUM_THREADS"])
"""
    assert f"threads {expected}" in run(code, **given).stdout
