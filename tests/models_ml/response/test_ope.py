from __future__ import annotations

import numpy as np
import pytest

from models_ml.response import ope
from models_ml.response.ope import DecisionLog

CONTEXTS, ACTIONS = 3, 3
BANDIT = np.array([[1.0, 0.0, -1.0], [0.2, 0.8, 0.0], [-0.5, 0.5, 0.9]])
BEHAVIOUR = np.array([0.6, 0.3, 0.1])


def bandit(seed: int, count: int, *, noise: float = 0.5) -> tuple[DecisionLog, np.ndarray]:
    """A one-step log of contexts whose mean rewards are known."""
    rng = np.random.default_rng(seed)
    context = rng.integers(CONTEXTS, size=count)
    action = rng.choice(ACTIONS, count, p=BEHAVIOUR)
    reward = BANDIT[context, action] + noise * rng.standard_normal(count)
    log = DecisionLog(
        features=np.eye(CONTEXTS)[context][:, None],
        actions=action[:, None],
        propensities=BEHAVIOUR[action][:, None],
        rewards=reward[:, None],
        present=np.ones((count, 1), dtype=bool),
    )
    return log, context


def always(choice: np.ndarray, context: np.ndarray) -> np.ndarray:
    chances: np.ndarray = np.eye(ACTIONS)[choice[context]][:, None]
    return chances


def chain(seed: int, count: int) -> tuple[DecisionLog, np.ndarray]:
    """Three steps; action 1 earns 1 and ends the episode with probability 1/2, action 0 earns 0.2 and goes on.

    The features tell nothing about it, so only the importance weights can be right.
    """
    rng = np.random.default_rng(seed)
    present = np.zeros((count, 3), dtype=bool)
    alive = np.ones(count, dtype=bool)
    actions = rng.integers(2, size=(count, 3))
    for step in range(3):
        present[:, step] = alive
        alive = alive & ~((actions[:, step] == 1) & (rng.random(count) < 0.5))
    rewards = np.where(actions == 1, 1.0, 0.2) * present
    log = DecisionLog(rng.standard_normal((count, 3, 2)), actions, np.full((count, 3), 0.5), rewards, present)
    return log, present


def test_the_value_of_a_bandit_lies_in_its_interval() -> None:
    best = BANDIT.argmax(axis=1)
    exact = BANDIT.max(axis=1).mean()
    covered = 0
    for seed in range(40):
        log, context = bandit(seed, 400)
        estimate = ope.evaluate(log, always(best, context))
        assert estimate.lower < estimate.value < estimate.upper
        covered += estimate.lower <= exact <= estimate.upper
    assert covered >= 34  # 38 of 40 are expected


def test_the_value_of_a_chain_is_found_with_features_that_tell_nothing() -> None:
    log, present = chain(0, 20_000)
    ones = np.broadcast_to(np.array([0.0, 1.0]), (*present.shape, 2))
    zeros = np.broadcast_to(np.array([1.0, 0.0]), (*present.shape, 2))
    assert ope.evaluate(log, ones).value == pytest.approx(1.75, abs=0.05)
    assert ope.evaluate(log, zeros).value == pytest.approx(0.6, abs=0.02)


def test_the_behaviour_itself_is_worth_what_was_logged() -> None:
    log, context = bandit(1, 2000)
    same = np.broadcast_to(BEHAVIOUR, (len(context), 1, ACTIONS))
    assert ope.evaluate(log, same).value == pytest.approx(log.rewards.mean(), abs=0.02)


def test_the_model_narrows_the_interval_of_importance_weights_alone() -> None:
    log, context = bandit(2, 2000)
    chances = always(BANDIT.argmax(axis=1), context)
    robust = ope.doubly_robust(log, chances)
    weighted = log.rewards[:, 0] * chances[np.arange(2000), 0, log.actions[:, 0]] / log.propensities[:, 0]
    assert robust.std() < 0.8 * weighted.std()


def test_only_a_proven_gain_promotes() -> None:
    log, context = bandit(3, 600)
    best, worst = (always(pick, context) for pick in (BANDIT.argmax(axis=1), BANDIT.argmin(axis=1)))
    promoted, gain = ope.promotes(log, best, worst)
    assert promoted
    assert gain.lower < BANDIT.max(axis=1).mean() - BANDIT.min(axis=1).mean() < gain.upper
    assert not ope.promotes(log, worst, best)[0]
    assert not ope.promotes(log, best, best)[0]


def test_logs_without_chances_or_of_odd_shape_are_refused() -> None:
    log, context = bandit(4, 50)
    with pytest.raises(ValueError, match="probability above 0"):
        DecisionLog(log.features, log.actions, 0 * log.propensities, log.rewards, log.present)
    with pytest.raises(ValueError, match="common shape"):
        DecisionLog(log.features, log.actions[:10], log.propensities, log.rewards, log.present)
    few, small = bandit(4, 4)
    with pytest.raises(ValueError, match="too few"):
        ope.evaluate(few, always(np.zeros(3, dtype=int), small))
    assert len(context) == 50
