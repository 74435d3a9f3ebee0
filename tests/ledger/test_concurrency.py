"""Many processes append to one chain: it never forks, on either database. `make bench ONLY=ledger` has 1,000 each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ledger.racing import KINDS, race

PROCESSES = 4
RELEASES = 6


@pytest.mark.parametrize("kind", KINDS)
def test_processes_that_append_at_once(kind: str, tmp_path: Path) -> None:
    race(kind, tmp_path, processes=PROCESSES, releases=RELEASES).assert_nothing_was_lost(PROCESSES, RELEASES)
