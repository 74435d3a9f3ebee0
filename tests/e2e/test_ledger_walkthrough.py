"""Walk-throughs in docs/: their commands are run in order, and have to print what they show.

`REFRESH_DOCS=1` writes what they print into the documents instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.federation import Federation, running
from tests.support.processes import REPOSITORY, Coordinator

DOCUMENTS = ("ledger.md", "checkpoints.md", "governance.md")
CONSOLE = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)
# What is another in every run: hashes and shortened ones, signatures, times, addresses, durations.
VARYING = re.compile(
    r"[A-Za-z0-9+/]{43,}={0,2}|[0-9a-f]{12,}|\d{4}-\d\d-\d\d[T ][0-9:.]+(Z|\+00:00)?"
    r"|127\.0\.0\.1:\d+|\d+\.\d+ s|\d+ blocks/s|/\S+/"
)
SQLITE = """\
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=20) as database:
    database.executescript(sys.argv[2])
"""


@pytest.fixture(scope="module", params=DOCUMENTS)
def document(request: pytest.FixtureRequest) -> Path:
    return REPOSITORY / "docs" / str(request.param)


@pytest.fixture(scope="module")
def federation(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    folder = tmp_path_factory.mktemp("walkthrough")
    with (
        Coordinator(folder / "state") as coordinator,
        running(coordinator, folder / "organizations", members=3) as running_federation,
    ):
        for _ in range(3):
            round_id = running_federation.start_round()
            assert running_federation.finish(round_id) == "completed"
        for member in running_federation.members:
            member.step()
        yield running_federation


@pytest.fixture
def environment(federation: Federation, tmp_path: Path) -> Mapping[str, str]:
    """Of the shell: the document's variables, and commands that not every machine has."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (tmp_path / "sqlite.py").write_text(SQLITE)
    for name, call in (
        ("sqlite3", f"{sys.executable} {tmp_path / 'sqlite.py'}"),
        ("python", sys.executable),
    ):
        (commands / name).write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        (commands / name).chmod(0o700)
    first, second, third = (member.agent for member in federation.members)
    return {
        **federation.coordinator.environment,
        "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "URL": federation.coordinator.url,
        "HOME_A": str(first.home.folder),
        "HOME_B": str(second.home.folder),
        "HOME_C": str(third.home.folder),
        "HOME_D": str(tmp_path / "agents" / "D"),
        "HOME_E": str(tmp_path / "agents" / "E"),
        "ORG_C": third.org_id,
        "KEY_C": third.key.public.key_id,
        "GENESIS": first.chain_id,
        "DATABASE": str(federation.coordinator.data_dir / "fl_blockchain.db"),
        "COLUMNS": "200",
    }


def test_every_command_prints_what_the_document_shows(
    document: Path, environment: Mapping[str, str], tmp_path: Path
) -> None:
    shown = document.read_text()
    for name in ("manage.py", "ledger"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    printed = CONSOLE.sub(lambda block: _run(block.group(), environment, tmp_path), shown)
    if os.environ.get("REFRESH_DOCS"):
        document.write_text(printed)
    else:
        assert _steady(printed) == _steady(shown)


def _run(block: str, environment: Mapping[str, str], folder: Path) -> str:
    lines = []
    for line in block.splitlines():
        if line.startswith("$ "):
            done = subprocess.run(
                line[2:],
                shell=True,
                env=environment,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=60,
                check=False,
            )
            lines += [line, *(text.rstrip() for text in done.stdout.splitlines())]
            if done.returncode:
                lines.append(f"[exit code {done.returncode}]")
    return "".join(f"{line}\n" for line in lines)


def _steady(text: str) -> str:
    return VARYING.sub("...", text)
