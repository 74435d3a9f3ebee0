"""Backups of a coordinator at work, and a federation that goes on from one: real processes, both databases."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.agent.errors import ChainContradiction
from flxdr.backup.making import backups_in
from flxdr.backup.verification import verify_backup
from flxdr.core.clock import SystemClock
from tests.e2e.federation import Federation
from tests.support.processes import REPOSITORY, Coordinator
from tests.support.services import postgres_database

BACKUPS = 5
"""With each of the two pairs of database and queue."""


def test_every_backup_in_the_middle_of_rounds_holds(federation: Federation, tmp_path: Path) -> None:
    into, rounds = tmp_path / "backups", 0
    for number in range(BACKUPS):
        with _running(federation.coordinator, "backup", str(into), "--keep", "4") as process:
            while process.poll() is None:
                rounds += federation.finish(federation.start_round()) == "completed"
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        assert len(backups_in(into)) == min(number + 1, 4)
    assert rounds >= BACKUPS
    found = [verify_backup(folder, clock=SystemClock()) for folder in backups_in(into)]
    blocks = [backup.manifest.chain.blocks for backup in found]
    assert blocks == sorted(set(blocks)), "each is further than the one before"
    assert [backup.manifest.missing for backup in found] == [()] * 4


@contextlib.contextmanager
def _running(coordinator: Coordinator, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "manage.py"), *arguments],
        env=coordinator.environment,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_federation_goes_on_from_backups(federation: Federation, tmp_path: Path) -> None:
    """Restored twice, each time on another machine, which the members find at the same address.

    The first backup is behind what the agents saw: they refuse it until the export of later and a member's file of the
    model make up for the rest. The second one is of now. Nobody goes back to the first coordinator: this test is last.
    """
    old, into, member = federation.coordinator, tmp_path / "backups", federation.members[0]
    federation.finish(federation.start_round())
    behind = _backup(old, into)
    assert federation.finish(federation.start_round()) == "completed"
    for each in federation.members:
        each.step()
    old.manage("export_chain", str(tmp_path / "chain.jsonl"))
    released = federation.get("federation/models")["models"][0]["model_hash"]
    held = member.agent.home.folder / "checkpoint.json"
    old.stop()
    with _elsewhere(old, tmp_path / "older") as older:
        refused = older.manage("restore", behind, "--checkpoint", str(held), check=False)
        assert (refused.returncode, "checkpoint_beyond_chain" in refused.stderr) == (1, True), refused.stderr
        older.manage("restore", behind)
        with older, pytest.raises(ChainContradiction, match="it went back"):
            member.step()
        older.manage("restore_chain", str(tmp_path / "chain.jsonl"))
        older.manage("adopt_release", str(member.agent.home.models / f"{released}.safetensors"))
        with older:
            _finish_another(Federation(older, federation.members))
            now = _backup(older, into)
    with _elsewhere(old, tmp_path / "new") as new:
        new.manage("restore", now, "--checkpoint", str(held))
        with new:
            _finish_another(Federation(new, federation.members))
            verified = json.loads(new.manage("verify_chain", "--recompute", "--json").stdout)
            assert (verified["chain_valid"], verified["recomputation"]["differing"]) == (True, [])


def _backup(coordinator: Coordinator, into: Path) -> str:
    return str(json.loads(coordinator.manage("backup", str(into), "--with-keys", "--json").stdout)["folder"])


def _finish_another(federation: Federation) -> None:
    before = len(federation.chain())
    status = federation.finish(federation.start_round())
    assert status == "completed", federation.get("federation/rounds")["rounds"][0]
    assert len(federation.chain()) == before + 1


@contextlib.contextmanager
def _elsewhere(old: Coordinator, folder: Path) -> Iterator[Coordinator]:
    """A coordinator with nothing yet, which the members find at the old one's address."""
    with contextlib.ExitStack() as stack:
        environment = {"BACKEND_PORT": str(old.port)}
        if "DATABASE_URL" in old.environment:
            environment["DATABASE_URL"] = stack.enter_context(postgres_database(folder / "services"))
            environment["REDIS_URL"] = old.environment["REDIS_URL"]
        new = Coordinator(folder / "state", environment)
        new.port, new.url = old.port, old.url
        (folder / "state").mkdir(parents=True, exist_ok=True)
        yield new
