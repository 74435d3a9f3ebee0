"""A disk that takes no more: what arrives is refused and leaves nothing behind; with room again all goes on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PAIRS
from tests.faults import stops
from tests.faults.conftest import a_stand
from tests.faults.points import PLAIN
from tests.faults.report import Note
from tests.faults.stand import Stand
from tests.support.processes import eventually

DISK_BYTES = 96 * 2**20
PIECE_BYTES = 16 * 1024
FILL_EVERY = 0.02
"""Seconds."""


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A file system of its own at `place`."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module", params=PAIRS)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("disk")
    with small_disk(folder / "state"), a_stand(request.param, folder) as standing_up:
        yield standing_up


class Ballast:
    """A file that leaves the disk without room, and takes what others free."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "ballast"
        self._dropped = threading.Event()
        self._filling: threading.Thread | None = None

    def load(self) -> None:
        self._fill()
        self._filling = threading.Thread(target=self._stay_full)
        self._filling.start()

    def drop(self) -> None:
        self._dropped.set()
        if self._filling is not None:
            self._filling.join()
        self._file.unlink(missing_ok=True)

    def _stay_full(self) -> None:
        while not self._dropped.wait(FILL_EVERY):
            self._fill()

    def _fill(self) -> None:
        with contextlib.suppress(OSError), self._file.open("ab", buffering=0) as file:
            while True:
                file.write(b"\0" * PIECE_BYTES)


def files(stand: Stand) -> set[Path]:
    blobs = stand.coordinator.data_dir / "blobs"
    return {path for path in blobs.rglob("*") if path.is_file()}


def test_updates_are_refused_and_leave_nothing(stand: Stand, note: Note) -> None:
    ballast = Ballast(stand.coordinator.data_dir)
    round_id = stand.start_round()
    before = files(stand)
    stand.wire.submits.clear()
    stand.wire.outcomes.clear()
    ballast.load()
    try:
        stand.work()
        assert stand.coordinator.answers()
        assert files(stand) == before
        assert set(stand.wire.outcomes) <= {"200", "503", "507"}, stand.wire.outcomes
        assert stand.wire.outcomes["507"] + stand.wire.outcomes["503"]
    finally:
        ballast.drop()
    freed = time.monotonic()
    assert not stand.books.submissions(round_id)
    assert stand.finish(round_id) == "completed"
    stand.check(round_id)
    note(survived=1, recovery_seconds=time.monotonic() - freed, requests=stand.wire.sent, bytes_lost=0)


def test_an_aggregation_waits_for_room(stand: Stand, note: Note) -> None:
    (aggregated,) = [point for point in PLAIN if point.name == "aggregated"]
    ballast = Ballast(stand.coordinator.data_dir)
    log = stand.coordinator.log

    def fill() -> None:
        os.truncate(log, 0)
        ballast.load()

    try:
        with stops.struck(stand.folder, aggregated, fill):
            round_id = stand.start_round()
            for _ in range(2):
                stand.work()
            eventually(lambda: "No space left" in stand.coordinator.tail(400), what="the worker finds no room")
            assert stand.books.transitions(round_id) == ["aggregating"]
            ballast.drop()
            freed = time.monotonic()
            assert stand.finish(round_id) == "completed"
    finally:
        ballast.drop()
    stand.check(round_id)
    note(survived=1, recovery_seconds=time.monotonic() - freed, bytes_lost=0)


if os.geteuid() != 0:  # only root can make a file system
    del test_updates_are_refused_and_leave_nothing, test_an_aggregation_waits_for_room
