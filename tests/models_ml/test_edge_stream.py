from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_ml.edge_stream import COLUMNS, EdgeStream, concat
from models_ml.families import FAMILIES, UNLABELLED
from tests.models_ml.streams import stream


def test_columns_of_unequal_length_are_refused() -> None:
    columns = {name: [0, 0] for name in COLUMNS} | {"port": [1]}
    with pytest.raises(ValueError, match="common length"):
        EdgeStream.from_columns(columns)


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=30), st.floats(0.05, 0.95))
def test_a_split_by_time_keeps_everything_and_the_order_of_time(times: list[float], fraction: float) -> None:
    whole = stream(t=times)
    earlier, later = whole.split_by_time(fraction)
    assert len(earlier) + len(later) == len(whole)
    cut = min(times) + fraction * (max(times) - min(times))
    assert (earlier.t < cut).all()
    assert (later.t >= cut).all()


@given(st.lists(st.floats(0, 1e9), max_size=30), st.floats(0, 1))
def test_a_split_by_count_takes_the_earliest(times: list[float], fraction: float) -> None:
    earlier, later = stream(t=times).split_by_count(fraction)
    assert len(earlier) == int(fraction * len(times))
    assert np.concatenate((earlier.t, later.t)).tolist() == sorted(times)


def test_select_and_labelled() -> None:
    whole = stream(family=[0, UNLABELLED, 3], port=[1, 2, 3])
    assert whole.labelled().port.tolist() == [1, 3]
    assert whole.select(np.array([2, 0])).port.tolist() == [3, 1]
    assert whole.family_counts() == {"Benign": 1, FAMILIES[3]: 1}


def test_concat_joins_captures_of_equal_name() -> None:
    first = stream(("a", "b"), port=[1, 2], capture=[0, 1])
    second = stream(("b", "c"), port=[3, 4], capture=[0, 1])
    joined = concat([first, second])
    assert joined.captures == ("a", "b", "c")
    assert joined.of_capture("b").port.tolist() == [2, 3]
    assert joined.of_capture("c").port.tolist() == [4]
    assert len(joined.of_capture("d")) == 0


def test_nothing_joined_is_an_empty_stream() -> None:
    empty = concat([])
    assert len(empty) == 0
    assert [len(half) for half in empty.split_by_time(0.5)] == [0, 0]
