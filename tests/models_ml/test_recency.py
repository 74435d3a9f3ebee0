from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models_ml.edge_stream import EdgeStream
from models_ml.recency import WINDOW, Timeline, groups_of, recent_activity
from tests.models_ml.streams import stream

# few hosts and times on a coarse grid, so that equal hosts, equal times and window edges all occur
RECORDS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 2), st.integers(0, 2), st.sampled_from((80, 443))),
    min_size=1,
    max_size=25,
)


def make(records: list[tuple[int, int, int, int]]) -> EdgeStream:
    t, src, dst, port = zip(*records, strict=True)
    return stream(t=[15.0 * moment for moment in t], src=src, dst=dst, port=port)


@given(RECORDS)
def test_counts_are_those_of_a_plain_loop(records: list[tuple[int, int, int, int]]) -> None:
    flows = make(records)
    counts, gaps = recent_activity(flows)
    ordered = sorted(range(len(flows)), key=lambda i: flows.t[i])
    for place, i in enumerate(ordered):
        past = ordered[: place + 1]
        recent = [j for j in past if flows.t[j] >= flows.t[i] - WINDOW and flows.src[j] == flows.src[i]]
        assert counts[i, 0] == len(recent)
        assert counts[i, 1] == sum(flows.dst[j] == flows.dst[i] for j in recent)
        assert counts[i, 2] == sum(flows.dst[j] == flows.dst[i] for j in past if flows.t[j] >= flows.t[i] - WINDOW)
        assert counts[i, 3] == sum(is_new(flows, ordered, j, "dst") for j in recent)
        assert counts[i, 4] == sum(is_new(flows, ordered, j, "port") for j in recent)
        same = [
            j
            for j in past[:-1]
            if (flows.src[j], flows.dst[j], flows.port[j]) == (flows.src[i], flows.dst[i], flows.port[i])
        ]
        assert gaps[i] == (flows.t[i] - flows.t[same[-1]] if same else np.inf)


def is_new(flows: EdgeStream, ordered: list[int], record: int, column: str) -> bool:
    """Did the source not turn to this destination (or port) within the window before?"""
    values = getattr(flows, column)
    return not any(
        flows.src[j] == flows.src[record] and values[j] == values[record] and flows.t[j] >= flows.t[record] - WINDOW
        for j in ordered[: ordered.index(record)]
    )


def test_times_of_any_size_do_not_overflow() -> None:
    timeline = Timeline(np.array([0.0, 2.0**40, 2.0**40 + 1]))
    assert timeline.recent(np.array([7, 7, 7])).tolist() == [1, 1, 2]


def test_groups_are_equal_exactly_where_all_columns_are() -> None:
    groups = groups_of(np.array([1, 1, 2, 1]), np.array([5, 6, 5, 5]))
    assert groups[0] == groups[3]
    assert len(set(groups.tolist())) == 3


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3), st.integers(0, 65535))))
def test_groups_are_numbered_in_order_of_the_columns(rows: list[tuple[int, int, int]]) -> None:
    columns = [np.array(column, dtype=np.uint64) for column in zip(*rows, strict=True)] or [np.empty(0, np.uint64)]
    places = {row: place for place, row in enumerate(sorted(set(rows)))}
    assert groups_of(*columns).tolist() == [places[row] for row in rows]


def test_no_records_have_no_activity() -> None:
    counts, gaps = recent_activity(EdgeStream.empty())
    assert counts.shape == (0, 5)
    assert gaps.shape == (0,)
