"""`kill -9` while the workers share a large round: one block, with the model that one worker alone makes."""

from collections.abc import Iterator

import pytest

from models_ml.registry import EDGE_CLASSIFIER
from tests.e2e.conftest import PAIRS
from tests.faults.conftest import a_stand
from tests.faults.points import SHARDED, Point
from tests.faults.report import Note
from tests.faults.stand import Stand

CELLS = [
    pytest.param(point, victim, id=f"{point}-{victim}") for point in SHARDED for victim in (point.part, "everything")
]


@pytest.fixture(scope="module", params=PAIRS)
def stand(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("sharded")
    with a_stand(request.param, folder, FL_AGGREGATION_SHARD_VALUES="4096") as standing_up:
        yield standing_up


@pytest.mark.parametrize(("point", "victim"), CELLS)
def test_killed_at(stand: Stand, point: Point, victim: str, note: Note) -> None:
    if not stand.books.versions("edge-normaliser"):
        stand.finish(stand.start_round())
    round_id = stand.killed_at(point, victim, note, model=EDGE_CLASSIFIER)
    assert stand.model_of(round_id) == stand.recomputed(round_id)
