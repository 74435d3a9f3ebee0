"""`kill -9` while the sums of a round of Paillier encryption are made and opened."""

import pytest

from tests.faults.points import PAILLIER, Point
from tests.faults.report import Note
from tests.faults.stand import Stand

CELLS = [
    pytest.param(point, victim, id=f"{point}-{victim}") for point in PAILLIER for victim in (point.part, "everything")
]


@pytest.mark.parametrize(("point", "victim"), CELLS)
def test_killed_at(stand: Stand, point: Point, victim: str, note: Note) -> None:
    stand.killed_at(point, victim, note, protection="paillier")
