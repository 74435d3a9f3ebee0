"""Server optimisers: the papers' formulas, bit for bit, and a state that can be carried on anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.aggregation.adaptive import AdaptiveOptimizer
from federation.aggregation.cohort import Aggregate, Cohort
from federation.aggregation.engine import aggregate, combine
from federation.aggregation.fedadam import FedAdam
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.fedavgm import FedAvgM
from federation.aggregation.fedyogi import FedYogi
from federation.aggregation.server_optimizer import MILLION, ServerOptimizer
from models_ml.fixed_point import MAX_UPDATE_INT, SCALE
from tests.aggregation.cohorts import cohort, cohorts

OPTIMIZERS: list[ServerOptimizer] = [FedAvgM(), FedAdam(), FedYogi(), FedAvgM(1, 0), FedAdam(MILLION, 0, 0, 1)]


def bounded(step: float) -> int:
    return max(-MAX_UPDATE_INT, min(MAX_UPDATE_INT, round(step * SCALE)))  # Python rounds ties to even too


def tidy(value: float) -> float:
    return value if abs(value) >= 2.0**-200 else 0.0


def momentum_step(of: FedAvgM, mean: int, state: Sequence[float]) -> tuple[int, list[float]]:
    momentum = tidy(of.momentum_ppm / 1e6 * state[0] + mean / SCALE)
    return bounded(of.server_rate_ppm / 1e6 * momentum), [momentum]


def adaptive_step(of: AdaptiveOptimizer, mean: int, state: Sequence[float]) -> tuple[int, list[float]]:
    """Reddi et al. 2021, algorithm 2, one coordinate in Python's floats."""
    gradient, tau = mean / SCALE, of.tau_ppm / 1e6
    square, keep = gradient * gradient, (MILLION - of.beta2_ppm) / 1e6
    momentum = tidy(of.beta1_ppm / 1e6 * state[0] + (MILLION - of.beta1_ppm) / 1e6 * gradient)
    if isinstance(of, FedAdam):
        variance = of.beta2_ppm / 1e6 * state[1] + keep * square
    else:
        variance = state[1] - math.copysign(keep * square, state[1] - square) * (state[1] != square)
    variance = tidy(variance)
    return bounded(of.server_rate_ppm / 1e6 * momentum / (math.sqrt(variance) + tau)), [momentum, variance]


def reference(of: ServerOptimizer, mean: int, state: Sequence[float]) -> tuple[int, list[float]]:
    if isinstance(of, FedAvgM):
        return momentum_step(of, mean, state)
    assert isinstance(of, AdaptiveOptimizer)
    return adaptive_step(of, mean, state)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@given(st.lists(cohorts(largest=6), min_size=1, max_size=3))
def test_every_round_follows_the_formula_from_the_state_before(
    optimizer: ServerOptimizer, rounds: list[Cohort]
) -> None:
    size = min(drawn.size for drawn in rounds)
    expected: list[tuple[int, list[float]]] = [(0, list(optimizer.initial_state()))] * size
    before: Any = None
    for drawn in rounds:
        of = cohort([update[:size] for update in drawn.updates], drawn.weights.tolist())
        result = aggregate(optimizer, of, before)
        means = aggregate(FedAvg(), of).update.tolist()
        expected = [reference(optimizer, mean, state) for mean, (_, state) in zip(means, expected, strict=True)]
        assert result.update.tolist() == [update for update, _ in expected]
        assert result.state.T.tolist() == [state for _, state in expected]
        before = tuple(result.state)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_ranges_together_are_the_whole(optimizer: ServerOptimizer) -> None:
    rng = np.random.default_rng(2)
    of = cohort(list(rng.integers(-(2**22), 2**22, (5, 9001))))
    first = aggregate(optimizer, of)
    whole = aggregate(optimizer, of, tuple(first.state))
    plan = optimizer.plan(of, None)
    for span in (slice(0, 1), slice(1, 4097), slice(4097, 9001)):
        part = combine(optimizer, plan, of, tuple(first.state), span)
        assert np.array_equal(part.update, whole.update[span])
        assert np.array_equal(part.state, whole.state[:, span])


def test_momentum_carries_on_where_updates_cease() -> None:
    def after(value: int, before: Aggregate | None) -> Aggregate:
        return aggregate(FedAvgM(), cohort([[value]]), tuple(before.state) if before else None)

    first = after(1000, None)
    second = after(0, first)
    assert (first.update[0], second.update[0], after(0, second).update[0]) == (1000, 900, 810)


@pytest.mark.parametrize("optimizer", [FedAdam(), FedYogi()], ids=repr)
def test_small_and_large_coordinates_take_steps_of_like_length(optimizer: ServerOptimizer) -> None:
    """That is what an adaptive step is for; the plain mean's differ by a factor of a hundred."""
    state, of = None, cohort([[2**14, 100 * 2**14]])
    for _ in range(300):
        result = aggregate(optimizer, of, state)
        state = tuple(result.state)
    small, large = result.update.tolist()
    assert 1 < large / small < 3


def test_yogi_forgets_a_large_update_more_slowly_than_adam() -> None:
    def variance_after(optimizer: ServerOptimizer) -> float:
        state = tuple(aggregate(optimizer, cohort([[2**24]])).state)
        for _ in range(200):
            state = tuple(aggregate(optimizer, cohort([[2**10]]), state).state)
        return float(state[1][0])

    assert variance_after(FedYogi()) > 5 * variance_after(FedAdam())


def test_a_step_never_leaves_the_bound_of_an_update() -> None:
    far = cohort([[2**27, -(2**27)]])
    assert aggregate(FedAvgM(100 * MILLION), far).update.tolist() == [MAX_UPDATE_INT, -MAX_UPDATE_INT]


def test_what_decays_becomes_zero_before_it_becomes_subnormal() -> None:
    before = np.array([[2.0**-200], [2.0**-200]])
    result = aggregate(FedAdam(beta1_ppm=1, beta2_ppm=1), cohort([[0]]), tuple(before))
    assert result.state.tolist() == [[0.0], [0.0]]


def test_a_state_of_another_strategy_is_no_state() -> None:
    with pytest.raises(ValueError, match="keeps 2 vectors, not 1"):
        aggregate(FedAdam(), cohort([[1]]), (np.zeros(1),))
