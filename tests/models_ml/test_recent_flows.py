"""Counts of recent flows over pieces of a stream are those of the whole stream."""

from __future__ import annotations

import numpy as np
import pytest

from models_ml.recency import recent_activity
from models_ml.recent_flows import RecentFlows
from tests.models_ml.streams import stream
from tests.models_ml.tgnn.networks import busy_network


@pytest.mark.parametrize("seconds", [100.0, 3600.0, 10.0**6])
@pytest.mark.parametrize("piece", [1, 7, 100])
def test_pieces_are_counted_as_the_whole(piece: int, seconds: float) -> None:
    data = busy_network(0, 400, seconds=seconds)
    recent = RecentFlows()

    parts = [recent.observe(data.select(slice(first, first + piece))) for first in range(0, len(data), piece)]

    counts, gaps = recent_activity(data)
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), counts)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), gaps)


def test_what_is_carried_over_is_bounded() -> None:
    recent = RecentFlows(max_flows=3, max_contacts=2)
    recent.observe(stream(t=np.arange(10.0), src=5, dst=np.arange(10)))

    counts, gaps = recent.observe(stream(t=[11.0, 300.0, 300.0], src=5, dst=[9, 8, 0]))

    assert counts[0, 0] == 4, "the flow itself and three that were kept"
    assert gaps.tolist() == [2.0, 292.0, np.inf]
