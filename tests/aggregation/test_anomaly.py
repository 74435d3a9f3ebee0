"""Anomaly scores: what stands out is above 1, what does not is below, whatever the scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from federation.aggregation.anomaly import AnomalyScore
from federation.aggregation.anomaly import scores as scores_of
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import measure
from models_ml.fixed_point import SCALE
from tests.aggregation.cohorts import cohort, cohorts, shuffled


def scores(of: Cohort) -> list[AnomalyScore]:
    return scores_of(measure(of))


def honest_updates(count: int = 6, size: int = 5000, step: float = 2e4) -> list[NDArray[np.int32]]:
    """Updates that share a direction, each with its own noise of the same size."""
    rng = np.random.default_rng(3)
    common = rng.normal(0, step, size)
    return [np.rint(common + rng.normal(0, step, size)).astype(np.int32) for _ in range(count)]


@pytest.mark.parametrize("step", [10.0, 2e4, 2e6], ids=["tiny", "usual", "large"])
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda update: np.clip(update.astype(np.int64) * 100, -(2**27), 2**27), id="x100"),
        pytest.param(lambda update: -update, id="flipped, same norm"),
        pytest.param(lambda update: update * 0, id="nothing learned"),
        pytest.param(lambda update: np.roll(update, 1), id="another direction, same norm"),
    ],
)
def test_an_attack_stands_out_and_nobody_else(attack: object, step: float) -> None:
    updates = honest_updates(step=step)
    updates[2] = attack(updates[2]).astype(np.int32)  # type: ignore[operator]
    suspicious = [index for index, score in enumerate(scores(cohort(updates))) if score.score > 1]
    assert suspicious == [2]


def test_the_direction_alone_can_give_an_attack_away() -> None:
    """Honest norms that differ much hide the norm and the distance of an update that points backwards."""
    direction = np.rint(np.random.default_rng(8).normal(0, 1e4, 1000)).astype(np.int32)
    backwards = -2 * direction
    result = scores(cohort([backwards, *(length * direction for length in range(1, 7))]))
    assert [index for index, score in enumerate(result) if score.score > 1] == [0]
    assert result[0].cosine == pytest.approx(-1.0)


def test_the_distance_alone_can_give_an_attack_away() -> None:
    """Norms and directions spread widely; only the fourth lies far from their geometric median."""
    updates = [[-3, 0, 3, 3], [-3, -1, 1, -3], [1, 2, 2, -3], [-2, -3, 0, 3], [2, 2, 2, -1]]
    result = scores(cohort([[value * SCALE for value in update] for update in updates]))
    assert [index for index, score in enumerate(result) if score.score > 1] == [3]


def test_the_norm_alone_can_give_an_attack_away() -> None:
    """Updates without anything in common: one of a tenth of their size is nearer to the median than any other."""
    updates = np.eye(6, dtype=np.int32) * SCALE
    updates[4] //= 10
    result = scores(cohort(list(updates)))
    assert [index for index, score in enumerate(result) if score.score > 1] == [4]


def test_an_honest_cohort_raises_no_suspicion() -> None:
    assert all(score.score < 1 for score in scores(cohort(honest_updates())))


def test_two_colluding_outliers_of_six_stand_out() -> None:
    updates = honest_updates()
    updates[0] = updates[1] = (-3 * updates[1]).astype(np.int32)
    assert [score.score > 1 for score in scores(cohort(updates))] == [True, True, False, False, False, False]


def test_known_figures_in_model_units() -> None:
    one = SCALE
    result = scores(cohort([[3 * one, 4 * one], [0, 5 * one], [5 * one, 0]]))
    assert [score.norm for score in result] == [5.0, 5.0, 5.0]
    assert result[0].cosine == pytest.approx(35 / (5 * math.sqrt(50)))
    assert result[1].cosine == pytest.approx(20 / (5 * math.sqrt(8**2 + 4**2)))
    assert [score.distance for score in result] == [
        pytest.approx(length, abs=1e-3) for length in (0, math.sqrt(10), math.sqrt(20))
    ]


@given(cohorts(smallest=1))
def test_always_finite_and_within_bounds(drawn: Cohort) -> None:
    for score in scores(drawn):
        assert all(math.isfinite(value) for value in (score.norm, score.cosine, score.distance, score.score))
        assert -1 - 1e-9 <= score.cosine <= 1 + 1e-9
        assert min(score.norm, score.distance, score.score) >= 0


@given(cohorts(smallest=3), st.randoms(use_true_random=False))
def test_an_update_has_its_score_in_any_order(drawn: Cohort, random: object) -> None:
    order = list(range(drawn.count))
    random.shuffle(order)  # type: ignore[attr-defined]
    before = scores(drawn)
    after = scores(shuffled(drawn, order))
    for place, index in enumerate(order):
        assert after[place].norm == before[index].norm
        assert after[place].score == pytest.approx(before[index].score, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("count", [1, 2])
def test_without_a_majority_nobody_is_suspicious(count: int) -> None:
    updates = [[1, 0], [-(2**27), 2**27]][:count]
    assert [score.score for score in scores(cohort(updates))] == [0.0] * count


def test_zeros_and_a_copy_are_no_error() -> None:
    result = scores(cohort([[0, 0], [0, 0], [0, 0]]))
    assert [(score.norm, score.cosine, score.score) for score in result] == [(0.0, 0.0, 0.0)] * 3
    same = scores(cohort([[3, 4]] * 3))
    assert [score.cosine for score in same] == [pytest.approx(1.0)] * 3
    assert [score.score for score in same] == [0.0] * 3
