"""Processes that append to one chain at once, on either database."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import REPOSITORY, clean_environment
from tests.support.services import postgres_database

KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Race:
    """The heights that each process was given, what `verify_chain` says, and how long they appended."""

    heights: list[list[int]]
    report: dict[str, Any]
    seconds: float

    def assert_nothing_was_lost(self, processes: int, releases: int) -> None:
        """No fork, no gap, no block that was reported and is not there, and none that nobody reported."""
        total = processes * releases
        assert [len(own) for own in self.heights] == [releases] * processes
        assert sorted(height for own in self.heights for height in own) == list(range(1, 1 + total))
        assert self.report["chain_valid"] is True, self.report
        assert self.report["blocks_verified"] == 1 + total


def race(kind: str, scratch: Path, *, processes: int, releases: int) -> Race:
    """Let each process release a model of its own so many times.

    Raises:
        AssertionError: a process failed.
    """
    with database(kind, scratch) as environment:
        finish(run(["manage.py", "migrate", "-v0"], environment))
        began = time.monotonic()
        appenders = [
            run(["-m", "tests.ledger.appender", f"model-{number}", str(releases)], environment)
            for number in range(processes)
        ]
        heights = [json.loads(finish(appender).splitlines()[-1]) for appender in appenders]
        seconds = time.monotonic() - began
        report = json.loads(finish(run(["manage.py", "verify_chain", "--json"], environment)).splitlines()[-1])
    return Race(heights, report, seconds)


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
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return out
