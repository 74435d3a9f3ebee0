"""How good a way of responding is in simulation: the same incidents, with the same luck, for all that are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.families import BENIGN
from models_ml.response import bounds, playbook
from models_ml.response.actions import MONITOR
from models_ml.response.episodes import Episodes, draw
from models_ml.response.incidents import Incidents
from models_ml.response.policy import Parameters, advise, forward

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

Responder = Callable[[Episodes], Int64]
"""Chooses an action for every episode, (n,); of those that are over the choice does not matter."""
TWO_SIDED = 1.96
"""Standard errors on either side of a mean that hold 95 in 100 of a normal distribution."""


@dataclass(frozen=True, eq=False)
class Played:
    """Episodes that were played to their ends.

    Attributes:
        returns: (n,), sums of rewards in hours of an analyst.
        benign: (n,), whether there was no attack.
        disrupted: (n,), disruptive actions.
        nothing, best: (n,), expected returns of only watching and of the best response to what was going on.
    """

    returns: Float64
    benign: npt.NDArray[np.bool_]
    disrupted: Int64
    nothing: Float64
    best: Float64

    @property
    def disruptive_per_benign(self) -> float:
        """Disruptive actions per benign incident, 0 where there is none."""
        return float(self.disrupted[self.benign].mean()) if self.benign.any() else 0.0

    @property
    def normalised(self) -> float:
        """Return between only watching (0) and the best response of somebody who knows what is going on (1)."""
        span = float((self.best - self.nothing).mean())
        return min(1.0, max(0.0, float((self.returns - self.nothing).mean()) / span))

    def figures(self) -> dict[str, float]:
        """What is reported of a policy; figures that the episodes cannot give are left out."""
        figures = {
            "n": float(len(self.returns)),
            "normalised_return": self.normalised,
            "return": float(self.returns.mean()),
            "return_of_nothing": float(self.nothing.mean()),
            "return_of_best": float(self.best.mean()),
        }
        if self.benign.any():
            figures["disruptive_per_benign"] = self.disruptive_per_benign
            figures["return.benign"] = float(self.returns[self.benign].mean())
        if not self.benign.all():
            figures["return.attack"] = float(self.returns[~self.benign].mean())
        return figures


def play(bank: Incidents, responder: Responder, *, count: int, seed: int) -> Played:
    """Play `count` episodes; the same bank, count and seed give the same episodes, whoever responds.

    Raises:
        ValueError: the bank is empty or has incidents without a truth.
    """
    episodes = draw(bank, count, np.random.Generator(np.random.PCG64(seed)))
    returns = np.zeros(count)
    while not episodes.done.all():
        returns += episodes.step(responder(episodes))
    jewel = episodes.alerts.crown_jewel.astype(np.int64)
    return Played(
        returns=returns,
        benign=episodes.truth == BENIGN,
        disrupted=episodes.disrupted,
        nothing=bounds.nothing()[episodes.truth, jewel],
        best=bounds.best()[episodes.truth, jewel],
    )


def by_policy(parameters: Parameters) -> Responder:
    """As the policy is used: its most probable allowed action, `policy.advise`."""
    return lambda episodes: advise(forward(parameters, episodes.observe()), episodes.allowed())


def by_playbook(episodes: Episodes) -> Int64:
    """The deterministic playbook."""
    return playbook.choose(episodes.alerts, episodes.allowed())


def by_watching(episodes: Episodes) -> Int64:
    """Nothing but `monitor`."""
    return np.full(len(episodes), MONITOR)


def by_chance(seed: int) -> Responder:
    """Any allowed action, all equally likely."""
    rng = np.random.Generator(np.random.PCG64(seed))

    def respond(episodes: Episodes) -> Int64:
        allowed = episodes.allowed()
        return np.asarray(np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1))

    return respond


def gain(candidate: Played, incumbent: Played) -> tuple[float, float]:
    """Mean gain in return over the incumbent on the same episodes, and its lower 95 % bound.

    Raises:
        ValueError: the two did not play the same episodes.
    """
    if not np.array_equal(candidate.best, incumbent.best):
        raise ValueError("the gain is of two ways of responding to the same episodes")
    gains = candidate.returns - incumbent.returns
    error = float(gains.std(ddof=1)) / len(gains) ** 0.5 if len(gains) > 1 else float("inf")
    return float(gains.mean()), float(gains.mean()) - TWO_SIDED * error
