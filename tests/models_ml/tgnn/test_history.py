"""A host's recent events: found by sorting, equal to what a loop finds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_ml.tgnn import history
from models_ml.tgnn.history import NEIGHBOURS, History

hosts_in_time = st.lists(st.integers(0, 3), max_size=60).map(lambda hosts: np.array(hosts, dtype=np.int64))


def earlier(hosts: npt.NDArray[np.int64], row: int) -> list[int]:
    """The last events of the row's host before it, found by looking at all of them."""
    return [other for other in range(row) if hosts[other] == hosts[row]][-NEIGHBOURS:]


@given(hosts_in_time)
@settings(max_examples=40, deadline=None)
def test_sums_over_a_window_are_those_of_a_hosts_last_ten_events(hosts: npt.NDArray[np.int64]) -> None:
    found = History.of(hosts)
    rows = np.random.default_rng(0).integers(-50, 50, (len(hosts), 3)).astype(np.float32)

    sums, counts = found.window_sums(rows[found.order]), found.window_counts()

    for row in range(len(hosts)):
        before = earlier(hosts, row)
        assert counts[found.place[row]] == len(before)
        np.testing.assert_array_equal(sums[found.place[row]], rows[before].sum(axis=0))


@pytest.mark.parametrize("hosts", [1, 3, 400])
def test_sums_are_the_same_in_blocks_of_any_length(hosts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(hosts)
    events = History.of(rng.integers(0, hosts, 500))
    rows = rng.normal(size=(500, 2)).astype(np.float32)
    whole = events.window_sums(rows)

    for block in (1, 7, 499):
        monkeypatch.setattr(history, "BLOCK", block)
        np.testing.assert_array_equal(events.window_sums(rows), whole)


@given(hosts_in_time)
@settings(max_examples=40, deadline=None)
def test_events_of_a_host_stand_together_and_in_order_of_time(hosts: npt.NDArray[np.int64]) -> None:
    found = History.of(hosts)

    assert (np.diff(hosts[found.order]) >= 0).all()
    for host in range(4):
        np.testing.assert_array_equal(found.order[hosts[found.order] == host], np.flatnonzero(hosts == host))
        np.testing.assert_array_equal(found.rank[hosts[found.order] == host], np.arange((hosts == host).sum()))
