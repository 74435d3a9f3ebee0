"""Bulyan against its two steps in plain integers, and against hostile updates up to its bound."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.bulyan import Bulyan
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.krum import Krum
from tests.aggregation.attacks import ATTACKS, error, honest_updates
from tests.aggregation.cohorts import cohort, cohorts, half_up


def reference(of: Cohort, byzantine: int) -> tuple[list[int], set[int]]:
    vectors: list[list[int]] = [update[:].tolist() for update in of.updates]
    remaining, selected = list(range(of.count)), []

    def score(i: int) -> int:
        distances = sorted(
            sum((a - b) ** 2 for a, b in zip(vectors[i], vectors[j], strict=True)) for j in remaining if j != i
        )
        return sum(distances[: max(1, len(remaining) - byzantine - 2)])

    for _ in range(of.count - 2 * byzantine):
        best = min(remaining, key=lambda i: (score(i), of.digests[i]))
        remaining.remove(best)
        selected.append(best)
    return [around([vectors[i][d] for i in selected], of.count - 4 * byzantine) for d in range(of.size)], set(selected)


def around(values: list[int], kept: int) -> int:
    """The mean of the `kept` values that are closest to the median, the lower of two that are equally far."""
    ascending = sorted(values)
    median = Fraction(ascending[(len(values) - 1) // 2] + ascending[len(values) // 2], 2)
    closest = sorted(values, key=lambda value: (abs(value - median), value))[:kept]
    return half_up(Fraction(sum(closest), kept))


@given(cohorts(smallest=7, largest=10))
def test_the_formula_holds_exactly(drawn: Cohort) -> None:
    result = aggregate(Bulyan(1), drawn)
    update, selected = reference(drawn, 1)
    assert result.update.tolist() == update
    assert set(range(drawn.count)) - result.left_out.keys() == selected


@given(cohorts(smallest=11, largest=13, bound=20), st.integers(1, 2))
def test_the_formula_holds_where_many_values_and_scores_are_equal(drawn: Cohort, byzantine: int) -> None:
    assert aggregate(Bulyan(byzantine), drawn).update.tolist() == reference(drawn, byzantine)[0]


def test_those_left_out_have_a_reason_and_weights_do_not_count() -> None:
    updates = [[0], [1], [2], [3], [4], [5], [1000]]
    result = aggregate(Bulyan(1), cohort(updates, [1] * 6 + [10**6]))
    assert len(result.left_out) == 2
    assert 6 in result.left_out
    assert all(0 < len(reason) <= 200 for reason in result.left_out.values())
    assert result.update.tolist() == aggregate(Bulyan(1), cohort(updates)).update.tolist()


@pytest.mark.parametrize(("count", "hostile"), [(7, 1), (11, 2), (23, 5)])
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_every_attack_up_to_the_bound_stays_within_the_honest_spread(attack: str, count: int, hostile: int) -> None:
    assert error(Bulyan(hostile), ATTACKS[attack], count=count, hostile=hostile) < 0.3


def test_the_mean_is_not_bounded() -> None:
    """The counterpart: the attacks are real."""
    assert error(FedAvg(), ATTACKS["colluders"], count=11, hostile=2) > 5


def test_one_huge_coordinate_among_ordinary_ones_is_cut_off() -> None:
    """Bulyan's reason: in many coordinates Krum chooses the update that lies in the middle but for one coordinate."""
    honest = honest_updates(6, size=5000)
    hidden = np.rint(honest.mean(axis=0)).astype(np.int64)
    hidden[7] += 1_000_000
    of = cohort([hidden, *honest])
    assert aggregate(Krum(1), of).update[7] == hidden[7]
    assert honest[:, 7].min() <= aggregate(Bulyan(1), of).update[7] <= honest[:, 7].max()
