"""Alarms on flows become one incident for each host, family and window."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.agent.detection.incidents import MAX_DISTINCT, SHOWN_FLOWS, Incident, Incidents
from models_ml.edge_stream import EdgeStream
from models_ml.families import FAMILIES
from models_ml.tgnn.explanation import Driver
from tests.models_ml.streams import stream

SCAN, C2 = FAMILIES.index("Scan"), FAMILIES.index("C2")


def alarms(incidents: Incidents, piece: EdgeStream, family: list[int], score: list[float]) -> list[Incident]:
    return incidents.add(piece, np.array(family, dtype=np.int8), np.array(score, dtype=np.float64), None)


def test_flows_of_one_host_family_and_window_are_one_incident() -> None:
    incidents = Incidents(60.0)
    piece = stream(
        t=[0, 10, 59, 60, 20, 30],
        src=[1, 1, 1, 1, 2, 1],
        dst=[5, 6, 5, 5, 5, 5],
        port=[23, 23, 80, 23, 23, 23],
        bytes_out=[1, 2, 4, 8, 16, 32],
    )
    alarms(incidents, piece, [SCAN, SCAN, SCAN, SCAN, SCAN, C2], [0.5, 0.9, 0.7, 0.8, 0.6, 0.4])
    found = incidents.end_all()
    assert [(each.host, each.family, each.window, each.flows) for each in found] == [
        (1, SCAN, 0, 3),
        (2, SCAN, 0, 1),
        (1, C2, 0, 1),
        (1, SCAN, 1, 1),
    ]
    first = found[0]
    assert (first.first, first.last, first.score, first.bytes_out) == (0, 59, 0.9, 7)
    assert (first.destinations, first.services) == ({5, 6}, {23, 80})
    assert [flow.score for flow in first.shown] == [0.9, 0.7, 0.5]


def test_benign_flows_and_low_scores_raise_nothing() -> None:
    incidents = Incidents(60.0)
    piece = stream(t=[0, 1], src=[1, 2])
    assert incidents.add(piece, np.array([0, SCAN], np.int8), np.array([0.9, 0.4]), None, minimum=0.5) == []
    assert incidents.end_all() == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 300), st.integers(1, 3), st.integers(1, 4), st.sampled_from([0, SCAN, C2]), st.floats(0, 1)
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 7),
)
def test_pieces_come_to_what_the_whole_comes_to(rows: list[tuple[int, int, int, int, float]], size: int) -> None:
    t, src, dst, family, score = (list(column) for column in zip(*rows, strict=True))
    piece = stream(t=t, src=src, dst=dst)
    at_once, in_pieces = Incidents(60.0), Incidents(60.0)
    alarms(at_once, piece, family, score)
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        alarms(in_pieces, piece.select(part), family[part], score[part])
    told = [
        [
            (each.key, each.first, each.last, each.score, each.flows, each.destinations)
            for each in sorted(incidents.end_all(), key=lambda each: each.key)
        ]
        for incidents in (at_once, in_pieces)
    ]
    assert told[0] == told[1]
    expected = Counter((s, f, moment // 60) for moment, s, f in zip(t, src, family, strict=True) if f)
    assert {key: flows for key, _, _, _, flows, _ in told[0]} == expected


def test_the_embedding_and_the_explanation_are_those_of_the_highest_flow() -> None:
    asked: list[int] = []

    def explain(row: int) -> tuple[Driver, ...]:
        asked.append(row)
        return (Driver(float(row), 1, 2, 23, "tcp", "S0", 0, 0, "source", 1.0),)

    incidents = Incidents(60.0, explain)
    piece = stream(t=[0, 1, 2])
    family, embedding = np.full(3, SCAN, np.int8), np.arange(3 * 128, dtype=np.float32).reshape(3, 128)
    incidents.add(piece, family, np.array([0.2, 0.9, 0.3]), embedding)
    incidents.add(piece, family, np.array([0.5, 0.1, 0.6]), embedding + 1)
    (found,) = incidents.end_all()
    assert asked == [1]
    assert found.embedding is not None
    assert np.array_equal(found.embedding, embedding[1])
    assert found.drivers[0].t == 1


def test_few_flows_are_shown_and_they_differ() -> None:
    incidents = Incidents(60.0)
    count = 40
    alarms(
        incidents, stream(t=np.zeros(count), dst=[9] * 10 + list(range(30))), [SCAN] * count, [0.9] * 10 + [0.5] * 30
    )
    (found,) = incidents.end_all()
    assert len(found.shown) == SHOWN_FLOWS
    assert len({flow.dst for flow in found.shown}) == SHOWN_FLOWS
    assert found.shown[0].score == 0.9


def test_memory_is_bounded_whatever_comes() -> None:
    incidents = Incidents(60.0, max_open=10)
    count = MAX_DISTINCT + 50
    alarms(incidents, stream(t=np.zeros(count), src=7, dst=np.arange(count)), [SCAN] * count, [0.5] * count)
    alarms(incidents, stream(t=np.arange(30) + 1, src=np.arange(100, 130)), [SCAN] * 30, [0.5] * 30)
    surplus = incidents.end_surplus()
    assert [each.host for each in surplus] == [7, *range(100, 120)]
    assert len(surplus[0].destinations) == MAX_DISTINCT
    assert len(incidents.end_all()) == 10


def test_windows_end_in_order_of_time() -> None:
    incidents = Incidents(60.0)
    alarms(incidents, stream(t=[130, 10, 70], src=[1, 2, 3]), [SCAN] * 3, [0.5] * 3)
    assert [each.host for each in incidents.end_before(60)] == [2]
    assert [each.host for each in incidents.end_before(179.9)] == [3]
    assert [each.host for each in incidents.end_all()] == [1]


@pytest.mark.parametrize("t", [0.0, 2.0**40])
def test_times_at_the_edges(t: float) -> None:
    incidents = Incidents(0.5)
    alarms(incidents, stream(t=[t]), [SCAN], [0.5])
    (found,) = incidents.end_all()
    assert found.first == t
