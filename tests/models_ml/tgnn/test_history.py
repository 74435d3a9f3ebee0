"""A host's recent events: found by sorting, equal to what a loop finds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.tgnn.history import NEIGHBOURS, History

hosts_in_time = st.lists(st.integers(0, 3), max_size=60).map(lambda hosts: np.array(hosts, dtype=np.int64))


def earlier(hosts: npt.NDArray[np.int64], row: int) -> list[int]:
    """The last events of the row's host before it, found by looking at all of them."""
    return [other for other in range(row) if hosts[other] == hosts[row]][-NEIGHBOURS:]


@given(hosts_in_time)
@settings(max_examples=40, deadline=None)
def test_sums_over_a_window_are_those_of_a_hosts_last_ten_events(hosts: npt.NDArray[np.int64]) -> None:
    history = History.of(hosts)
    rows = np.random.default_rng(0).integers(-50, 50, (len(hosts), 3)).astype(np.float32)

    sums, counts = history.window_sums(rows[history.order]), history.window_counts()

    for row in range(len(hosts)):
        before = earlier(hosts, row)
        assert counts[history.place[row]] == len(before)
        np.testing.assert_array_equal(sums[history.place[row]], rows[before].sum(axis=0))


@given(hosts_in_time)
@settings(max_examples=40, deadline=None)
def test_events_of_a_host_stand_together_and_in_order_of_time(hosts: npt.NDArray[np.int64]) -> None:
    history = History.of(hosts)

    assert (np.diff(hosts[history.order]) >= 0).all()
    for host in range(4):
        np.testing.assert_array_equal(history.order[hosts[history.order] == host], np.flatnonzero(hosts == host))
        np.testing.assert_array_equal(history.rank[hosts[history.order] == host], np.arange((hosts == host).sum()))
