"""The geometric median against its iteration on vectors of fractions, and against what a median must withstand."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.geometric_median import GeometricMedian
from tests.aggregation.attacks import ATTACKS, error, honest_updates
from tests.aggregation.cohorts import cohort, cohorts, combined, half_up, shuffled, squared_distance

ONE = 2**30


def reference(of: Cohort, iterations: int) -> list[int]:
    """Weiszfeld on the coordinates themselves: no inner products."""
    vectors: list[list[int]] = [update[:].tolist() for update in of.updates]
    majority = of.count // 2 + 1

    def around(centre: int) -> list[tuple[Fraction, str, int]]:
        point = [Fraction(value) for value in vectors[centre]]
        return sorted((squared_distance(vectors[i], point), of.digests[i], i) for i in range(of.count))[:majority]

    densest = min((around(centre)[-1][0], of.digests[centre], centre) for centre in range(of.count))[2]
    start = {i for _, _, i in around(densest)}
    shares = [Fraction(int(i in start), majority) for i in range(of.count)]
    for _ in range(iterations):
        point = combined(shares, vectors)
        distances = [Fraction(math.isqrt(math.floor(ONE**2 * squared_distance(v, point))), ONE) for v in vectors]
        weights = [math.floor(Fraction(2**192, ONE) / max(Fraction(1), distance)) for distance in distances]
        floored = [math.floor(Fraction(ONE * weight, sum(weights))) for weight in weights]
        shares = [Fraction(share, sum(floored)) for share in floored]
    return [half_up(value) for value in combined(shares, vectors)]


@given(cohorts(largest=7), st.integers(1, 4))
def test_the_formula_holds_exactly(drawn: Cohort, iterations: int) -> None:
    result = aggregate(GeometricMedian(iterations), drawn)
    assert result.update.tolist() == reference(drawn, iterations)
    assert not result.left_out


def test_in_one_dimension_it_is_the_median() -> None:
    result = aggregate(GeometricMedian(100), cohort([[0], [1000], [2000], [10**6], [10**8]])).update
    assert result.tolist() == pytest.approx([2000], abs=20)


def test_the_corner_that_sees_two_others_at_120_degrees_or_more_is_the_median() -> None:
    """Fermat's point of a triangle, where plain Weiszfeld divides by zero."""
    result = aggregate(GeometricMedian(100), cohort([[-100_000, 1000], [0, 0], [100_000, 1000]])).update
    assert result.tolist() == pytest.approx([0, 0], abs=20)


def test_it_has_the_smallest_sum_of_distances() -> None:
    honest = honest_updates(7, size=20)
    found = aggregate(GeometricMedian(100), cohort(list(honest))).update.astype(np.float64)

    def cost(point: np.ndarray) -> float:
        return float(np.sqrt(((honest - point) ** 2).sum(axis=1)).sum())

    rng = np.random.default_rng(1)
    assert all(cost(found) <= cost(found + rng.normal(0, scale, 20)) for scale in (10, 10**3, 10**5) for _ in range(20))


@pytest.mark.parametrize(
    "updates",
    [
        pytest.param([[0, 0], [0, 10**6], [10**6, 0], [10**6, 10**6]], id="every corner of a square"),
        pytest.param([[0, 0], [10**6, 0], [-(10**6), 0], [0, 10**6], [0, -(10**6)]], id="four around one"),
    ],
)
def test_a_start_among_equally_dense_majorities_is_decided_by_the_digest(updates: list[list[int]]) -> None:
    """One step still shows where it started."""
    of = cohort(updates)
    orders = permutations(range(of.count))
    assert len({tuple(aggregate(GeometricMedian(1), shuffled(of, order)).update.tolist()) for order in orders}) == 1


def test_a_shift_of_all_shifts_the_result_and_weights_do_not_count() -> None:
    updates = honest_updates(5, size=8)
    there = aggregate(GeometricMedian(), cohort(list(updates + 2**26), [1, 1, 10**6, 1, 1])).update
    assert (there - 2**26).tolist() == aggregate(GeometricMedian(), cohort(list(updates))).update.tolist()


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize(("count", "hostile"), [(5, 1), (7, 2), (13, 4), (21, 6)])
def test_hostile_updates_are_bounded(attack: str, count: int, hostile: int) -> None:
    """Up to three in ten: closer to the honest mean than an honest update is (0.3)."""
    assert error(GeometricMedian(), ATTACKS[attack], count=count, hostile=hostile) < 0.2


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize(("count", "hostile"), [(5, 2), (13, 6), (21, 10)])
def test_the_largest_minority_is_bounded(attack: str, count: int, hostile: int) -> None:
    """Where a start from the mean would still be 50 norms away."""
    assert error(GeometricMedian(), ATTACKS[attack], count=count, hostile=hostile) < 0.7


@pytest.mark.parametrize("attack", ["colluders", "extremes"])
def test_a_hostile_majority_wins(attack: str) -> None:
    """The counterpart: the bound is real."""
    assert error(GeometricMedian(), ATTACKS[attack], count=13, hostile=7) > 5


def test_the_mean_is_not_bounded() -> None:
    """The counterpart: the attacks are real."""
    assert error(FedAvg(), ATTACKS["colluders"], count=13, hostile=4) > 5
