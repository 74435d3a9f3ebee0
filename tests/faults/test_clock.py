"""The coordinator's clock jumps by an hour in the middle of a round, and is set right again later.

The product asks one interface for the time; the jump happens there, in every process at once. The clocks of the
libraries below (the queue's, the sessions') and of the organisations stay as they are.
"""

from __future__ import annotations

import pytest

from tests.faults.points import PLAIN
from tests.faults.report import Note
from tests.faults.stand import Stand
from tests.faults.test_database import let_pass

HOUR = 3600.0
WRONG_SECONDS = 8.0
"""How long the clock stays wrong: longer than a lease, and than the beat that looks for what is due."""
POINTS = {point.name: point for point in PLAIN}


def jump(stand: Stand, seconds: float) -> None:
    fresh = stand.folder / "clock.new"
    fresh.write_text(f"{seconds}")
    fresh.rename(stand.folder / "clock")


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["forwards", "backwards"])
@pytest.mark.parametrize("point", ["claimed", "aggregated", "proposal-uncommitted"])
def test_while_a_round_is_aggregated(stand: Stand, point: str, seconds: float, note: Note) -> None:
    """Leases run out too early or too late: the row that checks the token decides."""

    def wrong_for_a_while() -> None:
        jump(stand, seconds)
        let_pass(WRONG_SECONDS)
        jump(stand, 0)

    stand.survives(POINTS[point], wrong_for_a_while, note)


def test_forwards_past_the_deadline_of_a_collection(stand: Stand, note: Note) -> None:
    """The round ends, once, as one that nobody answered in time; the next one is as any other."""
    round_id = stand.start_round(timeout=600)
    jump(stand, HOUR)
    try:
        assert stand.finish(round_id) == "failed"
    finally:
        jump(stand, 0)
    assert stand.books.transitions(round_id) == ["failed"]
    following = stand.start_round()
    assert stand.finish(following) == "completed"
    stand.check(following)
    note(survived=1)
