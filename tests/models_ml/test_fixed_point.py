from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_ml.errors import OutOfRange
from models_ml.fixed_point import MAX_UPDATE, SCALE, add_update, dequantise, difference, quantise, round_half_up_div

UPDATES = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3), elements=st.floats(-8, 8))
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(UPDATES)
def test_quantising_errs_by_at_most_half_a_unit(values: np.ndarray) -> None:
    integers = quantise(values)
    assert integers.dtype == np.int32
    assert integers.shape == values.shape
    assert np.abs(dequantise(integers) - values).max() <= 0.5 / SCALE


@given(hnp.arrays(np.int32, 5, elements=st.integers(-8 * SCALE, 8 * SCALE)))
def test_integers_survive_the_way_through_floats(integers: np.ndarray) -> None:
    assert (quantise(dequantise(integers)) == integers).all()


def test_negative_zero_is_zero() -> None:
    assert quantise(np.array([-0.0])).tobytes() == quantise(np.array([0.0])).tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 8.0001, -8.0001, 1e300])
def test_values_outside_the_range_are_refused(value: float) -> None:
    with pytest.raises(OutOfRange):
        quantise(np.array([0.0, value]))


def test_the_bound_itself_is_in_range() -> None:
    assert quantise(np.array([8.0, -8.0])).tolist() == [MAX_UPDATE * SCALE, -MAX_UPDATE * SCALE]


def test_nothing_is_quantised_to_nothing() -> None:
    assert quantise(np.zeros((0, 3))).shape == (0, 3)


@given(st.lists(INT64, min_size=1, max_size=8), st.integers(1, 2**63 - 1))
def test_division_rounds_halves_up_exactly(numerators: list[int], denominator: int) -> None:
    quotients = round_half_up_div(np.array(numerators, dtype=np.int64), denominator)
    assert quotients.tolist() == [floor(Fraction(a, denominator) + Fraction(1, 2)) for a in numerators]


def test_division_examples() -> None:
    assert round_half_up_div(np.array([-3, -1, 1, 3, 5]), 2).tolist() == [-1, 0, 1, 2, 3]


@pytest.mark.parametrize("denominator", [0, -1, 2**63])
def test_division_needs_a_positive_denominator(denominator: int) -> None:
    with pytest.raises(ValueError, match="denominator"):
        round_half_up_div(np.array([1]), denominator)


@given(
    hnp.arrays(np.int32, 4, elements=st.integers(-8 * SCALE, 8 * SCALE)),
    hnp.arrays(np.int32, 4, elements=st.integers(-4 * SCALE, 4 * SCALE)),
)
def test_difference_undoes_addition(model: np.ndarray, update: np.ndarray) -> None:
    assert (difference(add_update(model, update), model) == update).all()


def test_sums_that_leave_the_range_are_refused_instead_of_wrapping() -> None:
    with pytest.raises(OutOfRange):
        add_update(np.array([2**31 - 1], dtype=np.int32), np.array([1], dtype=np.int32))
    with pytest.raises(OutOfRange):
        difference(np.array([2**31 - 1], dtype=np.int32), np.array([-(2**31)], dtype=np.int32))
