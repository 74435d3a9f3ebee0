"""`kill -9` of anybody at any moment, again and again, while a campaign runs."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.faults import stops
from tests.faults.report import Note
from tests.faults.sampling import SEED
from tests.faults.stand import Stand

ROUNDS = 4
KILLS = 6


@pytest.mark.parametrize("number", range(3))
def test_a_campaign_ends_whoever_dies_when(stand: Stand, number: int, note: Note) -> None:
    rng = random.Random(SEED * 1000 + number)
    plan = [(rng.uniform(0.2, 4.0), rng.choice([*stops.PARTS, "supervisor", "everything"])) for _ in range(KILLS)]
    errors: list[BaseException] = []

    def kill() -> None:
        try:
            for seconds, victim in plan:
                threading.Event().wait(seconds)
                stops.strike_when_up(stand.coordinator, victim)
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    sent, disturbed = stand.wire.sent, stand.wire.disturbed
    begin = time.monotonic()
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    stand.run_campaign(ROUNDS)
    ended = time.monotonic()
    killer.join(300)
    assert not errors, (plan, errors)
    note(
        survived=1,
        recovery_seconds=max(0.0, ended - begin) / ROUNDS,
        requests=stand.wire.sent - sent,
        disturbed=stand.wire.disturbed - disturbed,
        bytes_lost=stand.wire.lost(stand.coordinator.data_dir),
    )
