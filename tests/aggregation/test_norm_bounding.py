"""Norm bounding against its formula; what a hostile update can still do is B / N."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.norm_bounding import MAX_BOUND_PPM, NormBounding
from models_ml.fixed_point import SCALE
from tests.aggregation.attacks import ATTACKS, error, honest_updates
from tests.aggregation.cohorts import cohort, cohorts, combined, half_up, largest_factor


def reference(of: Cohort, bound_ppm: int) -> list[int]:
    vectors: list[list[int]] = [update[:].tolist() for update in of.updates]
    squares = [sum(value**2 for value in vector) for vector in vectors]
    bound = Fraction(bound_ppm * SCALE, 10**6) ** 2 if bound_ppm else Fraction(sorted(squares)[(of.count - 1) // 2])
    shares = [largest_factor(bound, Fraction(square), 10**6) / of.count for square in squares]
    return [half_up(value) for value in combined(shares, vectors)]


BOUNDS = st.one_of(st.just(0), st.integers(1, 10**9), st.just(MAX_BOUND_PPM))


@given(cohorts(), BOUNDS)
def test_the_formula_holds_exactly(drawn: Cohort, bound_ppm: int) -> None:
    assert aggregate(NormBounding(bound_ppm), drawn).update.tolist() == reference(drawn, bound_ppm)


@given(cohorts())
def test_a_bound_that_nobody_reaches_gives_the_mean(drawn: Cohort) -> None:
    equal = cohort([update[:] for update in drawn.updates])
    assert aggregate(NormBounding(MAX_BOUND_PPM), drawn).update.tolist() == aggregate(FedAvg(), equal).update.tolist()


def test_the_bound_is_in_millionths_of_a_model_unit() -> None:
    """Norms of 5 units, bounded to 1: a fifth of each."""
    update = [3 * SCALE, 4 * SCALE]
    assert aggregate(NormBounding(1_000_000), cohort([update] * 3)).update.tolist() == [
        round(0.6 * SCALE),
        round(0.8 * SCALE),
    ]


def test_nobody_is_left_out_and_weights_do_not_count() -> None:
    updates = [[3, 4], [30, 40], [6, 8]]
    light, heavy = (aggregate(NormBounding(), cohort(updates, weights)) for weights in ([1, 1, 1], [1, 10**6, 1]))
    assert light.update.tolist() == heavy.update.tolist()
    assert not light.left_out


@pytest.mark.parametrize("attack", sorted(ATTACKS))
@pytest.mark.parametrize(("count", "hostile"), [(5, 1), (5, 2), (13, 6), (21, 10)])
def test_hostile_updates_move_the_mean_by_their_share_of_the_bound(attack: str, count: int, hostile: int) -> None:
    """A minority: the bound is an honest norm (1.1), so f of N move the mean by at most 2 f B / N."""
    assert error(NormBounding(), ATTACKS[attack], count=count, hostile=hostile) < 2 * 1.1 * hostile / count + 0.1


def test_a_hundredfold_update_buys_no_more_than_an_ordinary_one() -> None:
    honest = honest_updates(8)
    assert error(NormBounding(), ATTACKS["hundredfold"], count=9, hostile=1) < 0.2
    assert error(FedAvg(), ATTACKS["hundredfold"], count=9, hostile=1) > 10
    one, hundred = (
        aggregate(NormBounding(), cohort([factor * honest[0], *honest])).update.astype(np.int64) for factor in (50, 100)
    )
    assert np.abs(one - hundred).max() <= 20  # the floor to millionths, nothing else
