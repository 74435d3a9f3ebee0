"""`kill -9` between two rounds of a campaign: the next one starts once."""

import pytest

from tests.faults.points import CAMPAIGN, Point
from tests.faults.report import Note
from tests.faults.stand import Stand
from tests.faults.stops import victims

CELLS = [
    pytest.param(point, victim, id=f"{point}-{victim}")
    for number, point in enumerate(CAMPAIGN)
    for victim in victims(point, number)
]


@pytest.mark.parametrize(("point", "victim"), CELLS)
def test_killed_at(stand: Stand, point: Point, victim: str, note: Note) -> None:
    stand.campaign_killed_at(point, victim, note)
