"""The built wheel and the agent's own requirements are enough for the agent; nothing of the coordinator is there."""

from __future__ import annotations

import json
import re
import subprocess
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY
from tests.support.wheel import build_wheel

REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)( ; (?P<marker>[^\\]+))?", re.MULTILINE)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`flxdr-agent` in an environment that holds the pinned requirements of the agent, and the built wheel."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    for name in pinned():
        link(name, site)
    with zipfile.ZipFile(build_wheel(folder)) as wheel:
        wheel.extractall(site)
    return folder / "env" / "bin" / "python"


def pinned() -> list[str]:
    """Names in the agent's requirements that are installed here; a marker may leave some out on this platform."""
    found = REQUIREMENT.finditer((REPOSITORY / "requirements" / "agent.txt").read_text())
    return [match[1] for match in found if match["marker"] is None or "win32" not in match["marker"]]


def link(name: str, site: Path) -> None:
    """Let a distribution that is installed in this environment appear in another one."""
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files or () if file.parts[0] != ".."}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(installed.locate_file(top))).resolve())


def run(agent: Path, *arguments: str) -> str:
    command = [str(agent), "-c", "from federation.agent.cli import main; main()", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=agent.parent)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_agent_makes_a_home(agent: Path, tmp_path: Path) -> None:
    home = ["--home", str(tmp_path / "home"), "--json"]
    run(agent, "init", "--org-id", "org-alpha", "--name", "Alpha", "--coordinator", "http://localhost:1", *home)
    assert json.loads(run(agent, "status", *home))["org_id"] == "org-alpha"


@pytest.mark.parametrize("module", ["django", "rest_framework", "celery", "psycopg"])
def test_nothing_of_the_coordinator_is_there(agent: Path, module: str) -> None:
    probe = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is not None)"
    assert subprocess.run([agent, "-c", probe], check=False).returncode == 0
