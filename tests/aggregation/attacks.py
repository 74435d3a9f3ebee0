"""Hostile updates beside honest ones, and how far an aggregate is from the honest mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.engine import aggregate
from federation.aggregation.strategy import Strategy
from tests.aggregation.cohorts import cohort

Attack = Callable[[NDArray[np.int64], int], NDArray[np.int64]]


def honest_updates(count: int, size: int = 300, seed: int = 3) -> NDArray[np.int64]:
    """One direction that all share (about 10^5 a coordinate) and a noise of a third of it."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 100_000, size)
    return np.rint(shared + rng.normal(0, 30_000, (count, size))).astype(np.int64)


def hundredfold(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    return 100 * honest[:hostile]


def sign_flip(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    return -10 * honest[:hostile]


def noise(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(hostile)
    return np.rint(rng.normal(0, 10**7, (hostile, honest.shape[1]))).astype(np.int64)


def colluders(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    """The same far update from each of them: their distance to each other is zero."""
    return np.tile(-50 * honest.mean(axis=0).astype(np.int64), (hostile, 1))


def extremes(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    """The largest values that an update may hold."""
    return np.full((hostile, honest.shape[1]), 2**27)


def little_is_enough(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    """Baruch et al. 2019: the mean shifted by one standard deviation, within what honest updates do."""
    return np.tile(np.rint(honest.mean(axis=0) - honest.std(axis=0)).astype(np.int64), (hostile, 1))


def inner_product(honest: NDArray[np.int64], hostile: int) -> NDArray[np.int64]:
    """Xie et al. 2019: against the honest mean, as long as it."""
    return np.tile(-honest.mean(axis=0).astype(np.int64), (hostile, 1))


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        attack.__name__: attack
        for attack in (hundredfold, sign_flip, noise, colluders, extremes, little_is_enough, inner_product)
    }
)


def error(strategy: Strategy, attack: Attack, *, count: int, hostile: int) -> float:
    """Distance of the aggregate from the honest mean, in units of the honest mean's norm."""
    honest = honest_updates(count - hostile)
    mean = honest.mean(axis=0)
    update = aggregate(strategy, cohort([*attack(honest, hostile), *honest])).update
    return sqrt(float(((update - mean) ** 2).sum() / (mean**2).sum()))
