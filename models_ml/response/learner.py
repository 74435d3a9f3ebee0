"""Actor and critic on replayed transitions, for a handful of actions.

A soft actor-critic for discrete actions (Haarnoja et al. 2018; Christodoulou 2019, section 4): expectations over
actions are sums, not samples. Two departures, both because a simulated incident's return is noisy and its best actions
lie close together:

- The critic is expected SARSA (van Seijen et al. 2009) on a target network that follows slowly: a target is
  `r + sum_a pi'(a|s') Q'(s',a)`. It has no bonus for entropy, as a bonus for every step made watching on the best
  response.
- The policy moves towards `softmax(Q / alpha)` along the forward KL divergence (Chan et al. 2022, "Greedification
  operators for policy optimization"), whose gradient `pi - softmax(Q / alpha)` does not vanish for an action that the
  policy has given up.

Returns of an incident are not discounted: it is short, and the state counts its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.response.policy import VALUE_UNIT, Parameters, backward, forward, masked_softmax
from models_ml.response.replay import Transitions

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating[Any]]
Bools = npt.NDArray[np.bool_]

ALPHA = 0.01
"""Temperature of the policy, in `VALUE_UNIT`: a tenth of an analyst's hour."""
POLICY_WEIGHT = 0.1
"""Of the policy's loss against the values'."""
POLYAK = 0.02
"""How far the target follows the network in an update."""
MAX_ERROR = 5.0
"""Errors of values count linearly from here on (Huber), in `VALUE_UNIT`."""
FIRST_MOMENT, SECOND_MOMENT, EPSILON = 0.9, 0.999, 1e-8


def targets(target: Parameters, batch: Transitions) -> Floats:
    """What the values of the actions taken should be, (n,), in `VALUE_UNIT`."""
    outputs = forward(target, batch.next_states)
    chances = masked_softmax(outputs.logits, batch.next_allowed)
    return np.asarray(batch.rewards / VALUE_UNIT + np.where(batch.done, 0.0, (chances * outputs.values).sum(axis=1)))


def losses(parameters: Parameters, batch: Transitions, wanted: Floats) -> tuple[float, float, dict[str, Floats]]:
    """Loss of the values, loss of the policy, and the gradient of `values + POLICY_WEIGHT * policy`.

    The values' loss is Huber's, averaged; the policy's is the mean cross-entropy against `softmax(Q / ALPHA)`, with Q
    taken as it stands, so that the policy does not bend the values to its liking.

    Args:
        wanted: (n,), of `targets`.
    """
    outputs = forward(parameters, batch.states)
    rows, count = np.arange(len(batch)), len(batch)
    errors = outputs.values[rows, batch.actions] - wanted
    small = np.clip(errors, -MAX_ERROR, MAX_ERROR)
    d_values = np.zeros_like(outputs.values)
    d_values[rows, batch.actions] = small / count

    chances = masked_softmax(outputs.logits, batch.allowed)
    better = masked_softmax(outputs.values / ALPHA, batch.allowed)
    d_logits = POLICY_WEIGHT * (chances - better) / count

    value_loss = float((small * errors - np.square(small) / 2).mean())
    policy_loss = -float((better * _log(chances)).sum(axis=1).mean())
    return value_loss, policy_loss, backward(parameters, outputs, d_logits, d_values)


def follow(target: dict[str, Float32], parameters: Mapping[str, Float32]) -> None:
    """Move the target towards the network by `POLYAK`."""
    for name, slow in target.items():
        np.add(slow, np.float32(POLYAK) * (parameters[name] - slow), out=slow)


class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1) with a proximal pull of `mu` towards where it started (FedProx)."""

    def __init__(self, parameters: dict[str, Float32], *, rate: float, mu: float) -> None:
        self._parameters = parameters
        self._start = {name: array.copy() for name, array in parameters.items()}
        self._mean = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._square = {name: np.zeros_like(array) for name, array in parameters.items()}
        self._rate, self._mu, self._steps = rate, np.float32(mu), 0

    def descend(self, gradient: Mapping[str, Floats], share: float = 1.0) -> None:
        """One step, `share` of the rate long; changes the parameters that it was made with."""
        self._steps += 1
        rate = share * self._rate * np.sqrt(1 - SECOND_MOMENT**self._steps) / (1 - FIRST_MOMENT**self._steps)
        for name, array in self._parameters.items():
            slope = gradient[name] + self._mu * (array - self._start[name])
            mean, square = self._mean[name], self._square[name]
            mean += np.float32(1 - FIRST_MOMENT) * (slope - mean)
            square += np.float32(1 - SECOND_MOMENT) * (np.square(slope) - square)
            step = np.float32(rate) * mean / (np.sqrt(square) + np.float32(EPSILON))
            np.subtract(array, step.astype(np.float32), out=array)


def _log(chances: Floats) -> Floats:
    """Logarithms of probabilities, 0 where they are 0."""
    return np.asarray(np.log(np.where(chances > 0, chances, 1.0)))
