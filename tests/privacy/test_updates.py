"""Update checks and clipping."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_ml.fixed_point import SCALE, quantise
from privacy.errors import PrivacyParameterInvalid, UpdateInvalid
from privacy.updates import check_update, clip_update

float_vectors = st.sampled_from((np.float32, np.float64)).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        st.integers(1, 30),
        elements=st.floats(-(2.0**100), 2.0**100, allow_subnormal=False, width=32),
    )
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "denormal"])
def test_values_that_are_no_ordinary_numbers_are_refused(dtype: Any, value: float | str) -> None:
    vector = np.ones(70_000, dtype=dtype)
    vector[69_999] = float(np.finfo(dtype).smallest_subnormal) if value == "denormal" else value
    for check in (check_update, lambda update: clip_update(update, 1.0)):
        with pytest.raises(UpdateInvalid):
            check(vector)


@pytest.mark.parametrize(
    "vector",
    [
        np.ones((2, 2), dtype=np.int32),
        np.ones((), dtype=np.int32),
        np.ones(0, dtype=np.int32),
        np.ones(3, dtype=np.int64),
        np.ones(3, dtype=np.float16),
        np.ones(3, dtype=">f4"),
        np.ones(3, dtype=bool),
        np.ones(3, dtype=complex),
    ],
    ids=lambda vector: f"{vector.dtype.str} {vector.shape}",
)
def test_other_shapes_and_dtypes_are_refused(vector: np.ndarray) -> None:
    with pytest.raises(UpdateInvalid):
        check_update(vector)


def test_another_length_is_refused() -> None:
    check_update(np.ones(3, dtype=np.int32), size=3)
    with pytest.raises(UpdateInvalid, match="4 values"):
        check_update(np.ones(3, dtype=np.int32), size=4)


def test_norms_are_in_model_units() -> None:
    assert check_update(np.array([3, -4], dtype=np.float32)) == 5.0
    assert check_update(np.array([3 * SCALE, -4 * SCALE], dtype=np.int32)) == 5.0
    assert check_update(np.zeros(4, dtype=np.float64), 0.5) == 0.0
    assert check_update(np.array([-(2**31)], dtype=np.int32)) == 128.0


@pytest.mark.parametrize("extreme", [1e300, 1e-300])
def test_squares_neither_overflow_nor_vanish(extreme: float) -> None:
    assert check_update(np.array([3 * extreme, 4 * extreme])) == pytest.approx(5 * extreme)


def test_a_norm_beyond_float64_is_refused() -> None:
    vector = np.full(10, np.finfo(np.float64).max)
    for check in (check_update, lambda update: clip_update(update, 1.0)):
        with pytest.raises(UpdateInvalid, match="finite"):
            check(vector)


def test_the_bound_is_kept() -> None:
    vector = np.array([3.0, 4.0])
    assert check_update(vector, 5.0) == 5.0
    with pytest.raises(UpdateInvalid) as caught:
        check_update(vector, math.nextafter(5.0, 0.0))
    assert caught.value.status == 422
    assert caught.value.fields == {"norm": 5.0, "max_norm": math.nextafter(5.0, 0.0)}


@given(float_vectors, st.floats(1e-3, 8))
def test_a_clipped_update_is_within_the_bound_and_keeps_its_direction(vector: np.ndarray, bound: float) -> None:
    before = vector.copy()
    clipped = clip_update(vector, bound)
    assert np.array_equal(vector, before)
    assert clipped.dtype == vector.dtype
    assert float(np.linalg.norm(clipped.astype(np.float64))) <= bound * (1 + 1e-12)
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if norm <= bound * (1 - 1e-9):
        assert np.array_equal(clipped, vector)
    else:
        tolerance = 1e-5 if vector.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(clipped, vector.astype(np.float64) * (bound / norm), rtol=tolerance, atol=1e-30)


@given(
    hnp.arrays(np.float64, st.integers(1, 200), elements=st.floats(-1, 1, allow_subnormal=False)), st.floats(1e-3, 8)
)
def test_what_was_clipped_passes_the_check_after_quantisation(vector: np.ndarray, bound: float) -> None:
    check_update(quantise(clip_update(vector, bound)), bound)


def test_rounding_slack_is_no_loophole() -> None:
    """Half a unit a coordinate and not more."""
    at_bound = np.full(10_000, SCALE // 100, dtype=np.int32)
    bound = check_update(at_bound)
    check_update(at_bound, bound)
    with pytest.raises(UpdateInvalid):
        check_update(at_bound + 1, bound)


@pytest.mark.parametrize("bound", [0.0, -1.0, math.nan, math.inf])
def test_a_bound_that_bounds_nothing_is_refused(bound: float) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        clip_update(np.ones(2), bound)


def test_a_bound_below_the_smallest_number_leaves_nothing() -> None:
    assert clip_update(np.ones(3, dtype=np.float32), 1e-60).tolist() == [0.0, 0.0, 0.0]


def test_integers_are_not_clipped() -> None:
    with pytest.raises(UpdateInvalid, match="before quantising"):
        clip_update(np.ones(2, dtype=np.int32), 1.0)
