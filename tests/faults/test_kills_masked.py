"""`kill -9` at every step of a round of secure aggregation."""

import pytest

from tests.faults.points import MASKED, Point
from tests.faults.report import Note
from tests.faults.stand import Stand

CELLS = [
    pytest.param(point, victim, id=f"{point}-{victim}") for point in MASKED for victim in (point.part, "everything")
]


@pytest.mark.parametrize(("point", "victim"), CELLS)
def test_killed_at(stand: Stand, point: Point, victim: str, note: Note) -> None:
    stand.killed_at(point, victim, note, protection="secagg")
