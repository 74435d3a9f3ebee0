"""Centred clipping against its formula on vectors of fractions, and against hostile minorities."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.centered_clipping import MAX_RADIUS_PPM, CenteredClipping
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.fedavg import FedAvg
from models_ml.fixed_point import SCALE
from tests.aggregation.attacks import ATTACKS, error, honest_updates
from tests.aggregation.cohorts import cohort, cohorts, combined, half_up, largest_factor, squared_distance

ONE = 2**30
RADII = st.one_of(st.just(0), st.integers(1, 10**9), st.just(MAX_RADIUS_PPM))


def reference(of: Cohort, radius_ppm: int, iterations: int) -> list[int]:
    """Distances from coordinates of the centre itself: no inner products, no square root."""
    vectors: list[list[int]] = [update[:].tolist() for update in of.updates]
    shares = [Fraction(0)] * of.count
    for _ in range(iterations):
        centre = combined(shares, vectors)
        distances = [squared_distance(vector, centre) for vector in vectors]
        radius = Fraction(radius_ppm * SCALE, 10**6) ** 2 if radius_ppm else sorted(distances)[(of.count - 1) // 2]
        factors = [largest_factor(radius, distance, ONE) for distance in distances]
        moved = [own + (factor - own * sum(factors)) / of.count for own, factor in zip(shares, factors, strict=True)]
        shares = [Fraction(math.floor(share * ONE), ONE) for share in moved]
    return [half_up(value) for value in combined(shares, vectors)]


@given(cohorts(largest=7), RADII, st.integers(1, 4))
def test_the_formula_holds_exactly(drawn: Cohort, radius_ppm: int, iterations: int) -> None:
    result = aggregate(CenteredClipping(radius_ppm, iterations), drawn)
    assert result.update.tolist() == reference(drawn, radius_ppm, iterations)
    assert not result.left_out


def test_one_step_within_the_radius_is_the_mean() -> None:
    updates = [[30, 60], [60, -30], [90, 0]]
    assert aggregate(CenteredClipping(MAX_RADIUS_PPM, 1), cohort(updates)).update.tolist() == [60, 10]


def test_the_radius_is_in_millionths_of_a_model_unit() -> None:
    """Equal updates at 5 units: each step of at most 1 goes a fifth of the way, three reach 3 units."""
    update = [3 * SCALE, -4 * SCALE]
    result = aggregate(CenteredClipping(1_000_000, 3), cohort([update] * 3)).update.tolist()
    assert result == pytest.approx([1.8 * SCALE, -2.4 * SCALE], abs=1)


def test_equal_updates_are_found_and_weights_do_not_count() -> None:
    assert aggregate(CenteredClipping(), cohort([[2**27, -5]] * 4)).update.tolist() == pytest.approx([2**27, -5], abs=1)
    updates = [[3, 4], [30, 40], [6, 8]]
    light, heavy = (aggregate(CenteredClipping(), cohort(updates, weights)) for weights in ([1] * 3, [1, 10**6, 1]))
    assert light.update.tolist() == heavy.update.tolist()


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize(("count", "hostile"), [(5, 1), (7, 2), (13, 4), (21, 6)])
def test_hostile_updates_are_bounded(attack: str, count: int, hostile: int) -> None:
    """Up to three in ten: closer to the honest mean than an honest update is (0.3)."""
    assert error(CenteredClipping(), ATTACKS[attack], count=count, hostile=hostile) < 0.2


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize(("count", "hostile"), [(5, 2), (13, 6), (21, 10)])
def test_the_largest_minority_is_bounded(attack: str, count: int, hostile: int) -> None:
    assert error(CenteredClipping(), ATTACKS[attack], count=count, hostile=hostile) < 1


def test_a_hostile_majority_wins() -> None:
    """The counterpart: the bound is real."""
    assert error(CenteredClipping(), ATTACKS["extremes"], count=13, hostile=7) > 5


def test_beyond_the_radius_the_length_of_an_outlier_makes_no_difference() -> None:
    honest = honest_updates(8)
    near, far = (
        aggregate(CenteredClipping(100_000), cohort([factor * honest[0], *honest])).update.astype(np.float64)
        for factor in (20, 200)
    )
    assert np.linalg.norm(near - far) < 0.02 * np.linalg.norm(honest.mean(axis=0))
    assert error(FedAvg(), ATTACKS["hundredfold"], count=9, hostile=1) > 10
