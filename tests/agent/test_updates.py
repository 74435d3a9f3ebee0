"""Clipping: exact bound, untouched inside it, direction kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from federation.agent.updates import clip_to_norm, squared_norm
from models_ml.fixed_point import MAX_UPDATE_INT, SCALE

VECTORS = arrays.arrays(np.int32, st.integers(1, 700), elements=st.integers(-MAX_UPDATE_INT, MAX_UPDATE_INT))


def exact_square(vector: np.ndarray) -> int:
    return sum(int(value) ** 2 for value in vector)


@given(VECTORS)
def test_the_squared_norm_is_exact(vector: np.ndarray) -> None:
    assert squared_norm({"a": vector, "b": vector.reshape(1, -1)}) == 2 * exact_square(vector)


@given(VECTORS, st.integers(1, 20_000_000))
def test_the_result_lies_in_the_ball_and_keeps_its_direction(vector: np.ndarray, bound_ppm: int) -> None:
    bound = bound_ppm * SCALE // 1_000_000
    clipped = clip_to_norm({"a": vector}, bound_ppm)["a"]
    assert clipped.dtype == np.int32
    assert exact_square(clipped) <= bound**2
    if exact_square(vector) <= bound**2:
        assert np.array_equal(clipped, vector)
    else:
        norm = exact_square(vector) ** 0.5
        assert np.all(np.abs(clipped - vector * (bound / norm)) <= 2)


@pytest.mark.parametrize("value", [2**31 - 1, -(2**31)])
def test_without_a_bound_only_the_range_is_enforced(value: int) -> None:
    clipped = clip_to_norm({"a": np.array([value, 5], dtype=np.int32)}, 0)["a"]
    assert clipped.tolist() == [MAX_UPDATE_INT if value > 0 else -MAX_UPDATE_INT, 5]
