"""Many processes append to one chain: it never forks, on either database."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY, clean_environment
from tests.support.services import postgres_database

PROCESSES = 4
RELEASES = 6


@contextlib.contextmanager
def database(kind: str, scratch: Path) -> Iterator[Mapping[str, str]]:
    """Settings of an empty database."""
    state = {"FL_DATA_DIR": str(scratch / "state")}
    if kind == "sqlite":
        yield state
        return
    with postgres_database(scratch) as url:
        yield {**state, "DATABASE_URL": url}


def run(arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**clean_environment(environment), "DJANGO_SETTINGS_MODULE": "flxdr.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    return out


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_append_at_once(kind: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as environment:
        finish(run(["manage.py", "migrate", "-v0"], environment))
        appenders = [
            run(["-m", "tests.ledger.appender", f"model-{number}", str(RELEASES)], environment)
            for number in range(PROCESSES)
        ]
        heights = [json.loads(finish(appender).splitlines()[-1]) for appender in appenders]
        report = json.loads(finish(run(["manage.py", "verify_chain", "--json"], environment)).splitlines()[-1])
    assert report["chain_valid"] is True
    assert report["blocks_verified"] == 1 + PROCESSES * RELEASES
    assert sorted(height for own in heights for height in own) == list(range(1, 1 + PROCESSES * RELEASES))
    assert os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.settings"
