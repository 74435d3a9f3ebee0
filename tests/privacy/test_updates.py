"""Checks of updates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models_ml.fixed_point import SCALE
from privacy.errors import UpdateInvalid
from privacy.updates import check_update


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "denormal"])
def test_values_that_are_no_ordinary_numbers_are_refused(dtype: Any, value: float | str) -> None:
    vector = np.ones(70_000, dtype=dtype)
    vector[69_999] = float(np.finfo(dtype).smallest_subnormal) if value == "denormal" else value
    with pytest.raises(UpdateInvalid):
        check_update(vector)


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
    with pytest.raises(UpdateInvalid, match="finite"):
        check_update(vector)


def test_the_bound_is_kept() -> None:
    vector = np.array([3.0, 4.0])
    assert check_update(vector, 5.0) == 5.0
    with pytest.raises(UpdateInvalid) as caught:
        check_update(vector, math.nextafter(5.0, 0.0))
    assert caught.value.status == 422
    assert caught.value.fields == {"norm": 5.0, "max_norm": math.nextafter(5.0, 0.0)}


def test_rounding_slack_is_no_loophole() -> None:
    """Half a unit a coordinate and not more."""
    at_bound = np.full(10_000, SCALE // 100, dtype=np.int32)
    bound = check_update(at_bound)
    check_update(at_bound, bound)
    with pytest.raises(UpdateInvalid):
        check_update(at_bound + 1, bound)
