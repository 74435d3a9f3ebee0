"""Hostile updates beside honest ones, and how far an aggregate is from the honest mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import sqrt
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.strategy import Strategy
from federation.aggregation.weighting import weights
from models_ml.fixed_point import MAX_UPDATE_INT, difference
from tests.aggregation import training_federation
from tests.aggregation.cohorts import cohort

Updates = NDArray[np.int64]
Attack = Callable[[Updates, int], Updates]
"""From the honest updates (N x D, known to the attackers) and the number of hostile ones to the hostile updates."""

HONEST_SAMPLES = 1000
CLAIMED_SAMPLES = 10**9
BOOST = 10


def honest_updates(count: int, size: int = 300, seed: int = 3) -> Updates:
    """One direction that all share (about 10^5 a coordinate) and a noise of a third of it."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 100_000, size)
    return np.rint(shared + rng.normal(0, 30_000, (count, size))).astype(np.int64)


def _repeated(update: NDArray[np.float64], hostile: int) -> Updates:
    return np.tile(np.rint(update).astype(np.int64), (hostile, 1))


def _some(honest: Updates, hostile: int) -> Updates:
    """What as many honest organisations would send; from the start again, if the hostile are more than they."""
    return honest[np.arange(hostile) % len(honest)]


def hundredfold(honest: Updates, hostile: int) -> Updates:
    """Scaling, as the model replacement of Bagdasaryan et al., "How To Backdoor Federated Learning", AISTATS 2020."""
    return 100 * _some(honest, hostile)


def sign_flip(honest: Updates, hostile: int) -> Updates:
    """Li et al., "RSA: Byzantine-Robust Stochastic Aggregation Methods ...", AAAI 2019: the opposite, ten times."""
    return -10 * _some(honest, hostile)


def noise(honest: Updates, hostile: int) -> Updates:
    """Blanchard et al., NeurIPS 2017 (their Gaussian workers): a far larger deviation than anybody's."""
    rng = np.random.default_rng(hostile)
    return np.rint(rng.normal(0, 10**7, (hostile, honest.shape[1]))).astype(np.int64)


def colluders(honest: Updates, hostile: int) -> Updates:
    """The same far update from each of them: their distance to each other is zero."""
    return np.tile(-50 * honest.mean(axis=0).astype(np.int64), (hostile, 1))


def extremes(honest: Updates, hostile: int) -> Updates:
    """The largest values that an update may hold."""
    return np.full((hostile, honest.shape[1]), MAX_UPDATE_INT)


def little_is_enough(honest: Updates, hostile: int) -> Updates:
    """Baruch et al., "A Little Is Enough", NeurIPS 2019, with z = 1: within what honest updates do."""
    return _repeated(honest.mean(axis=0) - honest.std(axis=0), hostile)


def little_is_enough_z(honest: Updates, hostile: int) -> Updates:
    """The same with the paper's z (see `largest_z`): as far as a majority still seems to agree with."""
    return _repeated(honest.mean(axis=0) - largest_z(len(honest) + hostile, hostile) * honest.std(axis=0), hostile)


def largest_z(count: int, hostile: int) -> float:
    """Baruch et al. 2019, z_max: with s = floor(n/2 + 1) - f supporters needed among the n - f honest, the largest
    z with Phi(z) < (n - f - s) / (n - f); 0 where the hostile need nobody's support."""
    honest = count - hostile
    supporters = count // 2 + 1 - hostile
    if supporters < 1:
        return 0.0
    return NormalDist().inv_cdf((honest - supporters) / honest)


def inner_product(honest: Updates, hostile: int) -> Updates:
    """Xie et al., "Fall of Empires", UAI 2019, epsilon = 1: against the honest mean, as long as it."""
    return np.tile(-honest.mean(axis=0).astype(np.int64), (hostile, 1))


def inner_product_small(honest: Updates, hostile: int) -> Updates:
    """Xie et al. 2019, epsilon = 0.1: against the honest mean, but not far from the honest updates."""
    return _repeated(-0.1 * honest.mean(axis=0), hostile)


def one_coordinate(honest: Updates, hostile: int) -> Updates:
    """El Mhamdi et al., ICML 2018 (see `bulyan`): the honest mean, but for one coordinate, which is moved as far as
    honest updates are from the mean, so that no distance gives it away."""
    update = honest.mean(axis=0)
    update[0] += sqrt(float(((honest - update) ** 2).sum(axis=1).mean()))
    return _repeated(update, hostile)


def billion_samples(honest: Updates, hostile: int) -> Updates:
    """The opposite of what honest organisations send, at their length; it claims 10^9 records (see `samples_of`)."""
    return -_some(honest, hostile)


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        attack.__name__: attack
        for attack in (
            hundredfold,
            sign_flip,
            noise,
            colluders,
            extremes,
            little_is_enough,
            little_is_enough_z,
            inner_product,
            inner_product_small,
            one_coordinate,
            billion_samples,
        )
    }
)


@dataclass(frozen=True)
class Situation:
    """A round under attack: the hostile updates first, then the honest ones."""

    hostile: Updates
    honest: Updates
    claimed: int = HONEST_SAMPLES

    def cohort(self, weighting: str = "samples") -> Cohort:
        samples = [self.claimed] * len(self.hostile) + [HONEST_SAMPLES] * len(self.honest)
        return cohort([*self.hostile, *self.honest], weights(samples, weighting).tolist())

    @property
    def spread(self) -> float:
        """The largest distance of an honest update from the honest mean, in units of that mean's norm."""
        mean = self.honest.mean(axis=0)
        return sqrt(float(((self.honest - mean) ** 2).sum(axis=1).max() / (mean**2).sum()))

    def error(self, strategy: Strategy, weighting: str = "samples") -> float:
        """Distance of the aggregate from the honest mean, in units of the honest mean's norm.

        A server optimiser is compared with the step that it takes along the honest mean, its state being new.
        """
        goal = step_along(strategy, self.honest.mean(axis=0))
        update = aggregate(strategy, self.cohort(weighting)).update
        return sqrt(float(((update - goal) ** 2).sum() / (goal**2).sum()))


def step_along(strategy: Strategy, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """The update that the strategy makes of a mean; the mean itself where there is no step of the server."""
    if type(strategy).step is Strategy.step:
        return mean
    state = np.array([[initial] * len(mean) for initial in strategy.initial_state()]).reshape(-1, len(mean))
    return strategy.step(np.rint(mean).astype(np.int32), state)[0].astype(np.float64)


def on_synthetic(attack: Attack, count: int, hostile: int) -> Situation:
    honest = honest_updates(count - hostile)
    return Situation(attack(honest, hostile), honest, CLAIMED_SAMPLES if attack is billion_samples else HONEST_SAMPLES)


def small_updates(count: int, hostile: int) -> Situation:
    """Deltas of about 6 x 10^-6 model units to weights of up to 120: all are submitted as whole models.

    In float32 a weight of 64 to 128 moves in steps of 7.6 x 10^-6, so most of what was learned would be lost.
    """
    honest = honest_updates(count - hostile) // 1000
    parent = large_weights(honest.shape[1])
    submitted = [(parent + update).astype(np.int32) for update in (*sign_flip(honest, hostile), *honest)]
    deltas = np.array([difference(weights, parent) for weights in submitted], dtype=np.int64)
    return Situation(deltas[:hostile], deltas[hostile:])


def large_weights(size: int) -> NDArray[np.int32]:
    """A model whose every weight lies between 64 and 120."""
    rng = np.random.default_rng(5)
    weights: NDArray[np.int64] = rng.integers(2**30, 15 * 2**27, size) * rng.choice(np.array([-1, 1]), size)
    return weights.astype(np.int32)


def label_flip(count: int, hostile: int) -> Situation:
    """Tolpegin et al., "Data Poisoning Attacks Against Federated Learning Systems", ESORICS 2020: hostile organisations
    train honestly, by the project's own trainer, on labels that they flipped."""
    updates = _trained(count, hostile)
    return Situation(updates[:hostile], updates[hostile:])


def label_flip_boosted(count: int, hostile: int) -> Situation:
    """The same, multiplied by ten before it is sent."""
    trained = label_flip(count, hostile)
    return Situation((BOOST * trained.hostile).clip(-MAX_UPDATE_INT, MAX_UPDATE_INT), trained.honest)


@cache
def _trained(count: int, hostile: int) -> Updates:
    return training_federation.updates(count, hostile)


TRAINED = ("label_flip", "label_flip_boosted")
"""Situations that come from training in floating point: their figures may differ a little between machines."""
SITUATIONS: tuple[str, ...] = (*ATTACKS, "small_updates", *TRAINED)
_OWN_HONEST: Mapping[str, Callable[[int, int], Situation]] = MappingProxyType(
    {maker.__name__: maker for maker in (small_updates, label_flip, label_flip_boosted)}
)


def situation(name: str, count: int, hostile: int) -> Situation:
    """The round of `count` updates, `hostile` of them from the attack of that name."""
    if name in ATTACKS:
        return on_synthetic(ATTACKS[name], count, hostile)
    return _OWN_HONEST[name](count, hostile)


def error(strategy: Strategy, attack: Attack, *, count: int, hostile: int) -> float:
    """Distance of the aggregate from the honest mean, in units of the honest mean's norm."""
    return on_synthetic(attack, count, hostile).error(strategy)
