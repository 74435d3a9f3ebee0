from __future__ import annotations

import pytest

from models_ml.errors import TooFewFlows
from models_ml.families import UNLABELLED
from models_ml.partitions import ORGANIZATIONS, by_organization
from tests.models_ml.streams import stream

CAPTURES = tuple(capture for captures in ORGANIZATIONS.values() for capture in captures)


def test_five_owners_share_eight_captures() -> None:
    assert len(ORGANIZATIONS) == 5
    assert len(CAPTURES) == len(set(CAPTURES)) == 8


def test_every_capture_is_cut_by_its_own_clock() -> None:
    # capture c runs from 1000 c to 1000 c + 10; ten records in the first tenth of the time, one at the end
    times = [1000 * c + t for c in range(8) for t in (*(0.1 * i for i in range(10)), 6.9, 7.1, 10)]
    flows = stream(CAPTURES, t=times, capture=[c for c in range(8) for _ in range(13)])
    parts = by_organization(flows)
    assert parts.keys() == ORGANIZATIONS.keys()
    for name, part in parts.items():
        assert len(part.train) == 11 * len(ORGANIZATIONS[name])
        assert len(part.test) == 2 * len(ORGANIZATIONS[name])
        assert {part.train.captures[index] for index in part.train.capture} == set(ORGANIZATIONS[name])
        for capture in ORGANIZATIONS[name]:
            assert part.train.of_capture(capture).t.max() < part.test.of_capture(capture).t.min()


def test_unlabelled_records_are_dropped() -> None:
    times = [t for _ in range(8) for t in (0, 1, 5, 10)]
    family = [f for _ in range(8) for f in (0, UNLABELLED, 1, 1)]
    flows = stream(CAPTURES, t=times, capture=[c for c in range(8) for _ in range(4)], family=family)
    parts = by_organization(flows)
    assert sum(len(part.train) + len(part.test) for part in parts.values()) == 24


def test_other_data_is_refused() -> None:
    with pytest.raises(TooFewFlows, match="campus"):
        by_organization(stream(t=[1, 2, 3]))
