"""Multi-Krum against its formula, and against hostile updates up to its bound."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.krum import Krum
from federation.aggregation.multi_krum import MultiKrum
from tests.aggregation.attacks import ATTACKS, error
from tests.aggregation.cohorts import cohort, cohorts, half_up


def reference(of: Cohort, byzantine: int, keep: int) -> list[int]:
    vectors: list[list[int]] = [update[:].tolist() for update in of.updates]

    def score(i: int) -> int:
        distances = sorted(
            sum((a - b) ** 2 for a, b in zip(vectors[i], vectors[j], strict=True)) for j in range(of.count) if j != i
        )
        return sum(distances[: of.count - byzantine - 2])

    kept = sorted(range(of.count), key=lambda i: (score(i), of.digests[i]))[:keep]
    return [half_up(Fraction(sum(vectors[i][d] for i in kept), keep)) for d in range(of.size)]


@given(cohorts(smallest=7), st.integers(1, 2), st.integers(0, 5))
def test_the_formula_holds_exactly(drawn: Cohort, byzantine: int, keep: int) -> None:
    result = aggregate(MultiKrum(byzantine, keep), drawn)
    kept = keep or drawn.count - byzantine
    assert result.update.tolist() == reference(drawn, byzantine, kept)
    assert len(result.left_out) == drawn.count - kept


def test_equal_scores_are_decided_by_the_digest() -> None:
    of = cohort([[0, 0], [0, 1], [1, 0], [1, 1]] * 2)
    by_digest = sorted(range(8), key=lambda index: of.digests[index])
    for keep in (2, 4, 6):
        assert aggregate(MultiKrum(1, keep), of).left_out.keys() == set(by_digest[keep:])


@pytest.mark.parametrize(
    ("byzantine", "keep", "minimum"), [(1, 0, 5), (3, 0, 9), (3, 6, 9), (3, 7, 10), (1, 10_000, 10_001)]
)
def test_as_many_as_are_kept_and_as_are_hostile_are_needed(byzantine: int, keep: int, minimum: int) -> None:
    assert MultiKrum(byzantine, keep).minimum() == minimum


@given(cohorts(smallest=7))
def test_one_kept_is_krum(drawn: Cohort) -> None:
    single = aggregate(MultiKrum(2, keep=1), drawn)
    krum = aggregate(Krum(2), drawn)
    assert single.update.tolist() == krum.update.tolist()
    assert single.left_out.keys() == krum.left_out.keys()


def test_the_outlier_is_left_out_with_a_reason() -> None:
    result = aggregate(MultiKrum(1), cohort([[0], [1], [2], [1000], [4]], [1, 1, 1, 10**6, 1]))
    assert list(result.left_out) == [3]
    assert 0 < len(result.left_out[3]) <= 200
    assert result.update.tolist() == [2]  # 7 / 4


@pytest.mark.parametrize(("count", "hostile"), [(5, 1), (7, 2), (13, 5), (21, 9)])
@pytest.mark.parametrize("attack", ["hundredfold", "sign_flip", "noise", "extremes", "inner_product"])
def test_far_updates_up_to_the_bound_change_nothing(attack: str, count: int, hostile: int) -> None:
    assert error(MultiKrum(hostile), ATTACKS[attack], count=count, hostile=hostile) < 1e-5
    assert error(FedAvg(), ATTACKS[attack], count=count, hostile=hostile) > 0.3


@pytest.mark.parametrize(("count", "hostile"), [(5, 1), (7, 2), (13, 5), (21, 9)])
def test_colluders_up_to_the_bound_do_not_outvote_the_honest(count: int, hostile: int) -> None:
    """Their distance to each other is zero, but each needs at least one honest neighbour."""
    assert error(MultiKrum(hostile), ATTACKS["colluders"], count=count, hostile=hostile) < 1e-5


def test_one_colluder_more_than_the_bound_wins() -> None:
    """The counterpart: the bound is real."""
    assert error(MultiKrum(2), ATTACKS["colluders"], count=7, hostile=4) > 1


@pytest.mark.parametrize(("count", "hostile"), [(5, 1), (7, 2), (13, 5)])
def test_updates_that_hide_among_the_honest_stay_within_their_spread(count: int, hostile: int) -> None:
    """Little-is-enough cannot be told apart; what it moves is less than the honest standard deviation (0.3)."""
    assert error(MultiKrum(hostile), ATTACKS["little_is_enough"], count=count, hostile=hostile) < 0.3
