"""Off-policy evaluation: what a policy would have returned on incidents that another way of responding decided.

Doubly robust, step by step (Jiang and Li 2016, equation 10): a model of values fills in what was not tried, importance
weights correct the model where it was; the estimate is right if either is. The model is fitted on other incidents than
those that it is used on (cross-fitting, Chernozhukov et al. 2018), so its errors are independent of them. Intervals are
percentiles of a bootstrap over incidents, the unit that is independent.

Needs the probabilities with which the logged actions were chosen. A record of deterministic decisions has no such
thing, and nothing can be estimated from it for actions that were never taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

RIDGE = 1.0
"""Squared weight on the coefficients of the model of values; the intercept is free."""
FOLDS = 5
RESAMPLES = 1000
MAX_WEIGHT = 50.0
"""Products of importance ratios are cut off here: a little bias for variance that would drown everything."""


@dataclass(frozen=True, eq=False)
class DecisionLog:
    """Logged incidents, n of at most h steps, filled up behind their ends.

    Attributes:
        features: (n, h, d) of what was seen.
        actions: (n, h) indices.
        propensities: (n, h), the probability with which the logged action was chosen.
        rewards: (n, h).
        present: (n, h), False behind the end.

    Raises:
        ValueError: shapes that do not fit, or a logged action of probability outside (0, 1].
    """

    features: Float64
    actions: npt.NDArray[np.int64]
    propensities: Float64
    rewards: Float64
    present: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        shapes = {self.actions.shape, self.propensities.shape, self.rewards.shape, self.present.shape}
        if shapes != {self.features.shape[:2]}:
            raise ValueError(f"columns of a log need one common shape (n, h), got {shapes}")
        chosen = self.propensities[self.present]
        if not ((chosen > 0) & (chosen <= 1)).all():
            raise ValueError("logged actions need a probability above 0 and of at most 1")


@dataclass(frozen=True)
class Estimate:
    """An estimated return, and the bounds of its 95 % interval."""

    value: float
    lower: float
    upper: float


def doubly_robust(log: DecisionLog, chances: Float64, *, seed: int = 0) -> Float64:
    """The doubly robust estimate of every incident's return under another policy, (n,); their mean is the estimate.

    Args:
        chances: (n, h, actions), the policy's probabilities in the logged situations.

    Raises:
        ValueError: fewer incidents than folds.
    """
    count, steps, _ = chances.shape
    if count < FOLDS:
        raise ValueError(f"{count} incidents are too few for {FOLDS} folds")
    fold = np.random.Generator(np.random.PCG64(seed)).permutation(count) % FOLDS
    values = np.zeros_like(chances)
    for number in range(FOLDS):
        values[fold == number] = _values(log, chances, fit=fold != number, use=fold == number)
    rows = np.arange(count)
    estimate = np.zeros(count)
    for step in reversed(range(steps)):
        taken = log.actions[:, step]
        ratio = np.where(log.present[:, step], chances[rows, step, taken] / log.propensities[:, step], 0.0)
        expected = (chances[:, step] * values[:, step]).sum(axis=1)
        surprise = log.rewards[:, step] + estimate - values[rows, step, taken]
        estimate = np.where(log.present[:, step], expected + np.minimum(ratio, MAX_WEIGHT) * surprise, 0.0)
    return estimate


def interval(estimates: Float64, *, seed: int = 0) -> Estimate:
    """Mean of estimates (n,) and its 95 % interval by bootstrap."""
    rng = np.random.Generator(np.random.PCG64(seed))
    means = np.array([estimates[rng.integers(len(estimates), size=len(estimates))].mean() for _ in range(RESAMPLES)])
    lower, upper = np.quantile(means, (0.025, 0.975))
    return Estimate(float(estimates.mean()), float(lower), float(upper))


def evaluate(log: DecisionLog, chances: Float64, *, seed: int = 0) -> Estimate:
    """The return of a policy with `chances` in the logged situations, as `doubly_robust` estimates it."""
    return interval(doubly_robust(log, chances, seed=seed), seed=seed)


def promotes(log: DecisionLog, candidate: Float64, incumbent: Float64, *, seed: int = 0) -> tuple[bool, Estimate]:
    """Whether a candidate is to replace the incumbent: only if the lower bound of its gain is above 0.

    Both are estimated on the same incidents, and the interval is of the difference.
    """
    gains = doubly_robust(log, candidate, seed=seed) - doubly_robust(log, incumbent, seed=seed)
    estimate = interval(gains, seed=seed)
    return estimate.lower > 0, estimate


def _values(log: DecisionLog, chances: Float64, *, fit: npt.NDArray[np.bool_], use: npt.NDArray[np.bool_]) -> Float64:
    """Values (used, h, actions) by fitted evaluation: from the last step back, a ridge regression an action."""
    steps, actions = chances.shape[1:]
    predicted = np.zeros((int(use.sum()), steps, actions))
    later = np.zeros(int(fit.sum()))
    for step in reversed(range(steps)):
        seen, taken = log.present[fit, step], log.actions[fit, step]
        wanted = log.rewards[fit, step] + later
        there, here = _with_one(log.features[fit, step]), _with_one(log.features[use, step])
        known = np.zeros((len(there), actions))
        for action in range(actions):
            which = seen & (taken == action)
            weights = _ridge(there[which], wanted[which])
            known[:, action] = there @ weights
            predicted[:, step, action] = here @ weights
        later = np.where(seen, (chances[fit, step] * known).sum(axis=1), 0.0)
    return predicted


def _with_one(features: Float64) -> Float64:
    return np.hstack((np.ones((len(features), 1)), features))


def _ridge(inputs: Float64, wanted: Float64) -> Float64:
    """Coefficients of a ridge regression, intercept first; zeros without a row."""
    if not len(inputs):
        return np.zeros(inputs.shape[1])
    penalty = RIDGE * np.eye(inputs.shape[1])
    penalty[0, 0] = 1e-9  # singular only without a row
    return np.asarray(np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ wanted))
