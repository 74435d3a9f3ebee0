"""`kill -9` at every step of a round in the clear."""

import pytest

from tests.faults.points import PLAIN, Point
from tests.faults.report import Note
from tests.faults.stand import Stand
from tests.faults.stops import victims

CELLS = [
    pytest.param(point, victim, id=f"{point}-{victim}")
    for number, point in enumerate(PLAIN)
    for victim in victims(point, number)
]


@pytest.mark.parametrize(("point", "victim"), CELLS)
def test_killed_at(stand: Stand, point: Point, victim: str, note: Note) -> None:
    stand.killed_at(point, victim, note)
