"""Server optimisers: the weighted mean is a gradient, and the server takes an optimiser's step along it.

The optimiser's vectors are float64 in model units, and nothing but + - x / and sqrt is applied to them, elementwise.
IEEE 754 rounds those correctly, so every machine finds the same bits; values below 2^-200 become zero, because some
processes flush subnormal numbers and others do not. The state is a file whose hash stands on the block: whoever holds
it and the next round's submissions recomputes the next model.

A step is rounded to 2^-24 (ties to even) and bounded to 8 in every coordinate, as every update is. Source of the
family: Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithm 1 (FedOpt).
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.strategy import Parameter
from federation.aggregation.weighted_mean import WeightedMean
from models_ml.fixed_point import MAX_UPDATE_INT, SCALE

MILLION = 1_000_000
_TINY = 2.0**-200


def rate(ppm: int) -> float:
    """A rate in millionths as the nearest float64."""
    return ppm / MILLION


def rate_parameter(name: str, default: int, meaning: str) -> Parameter:
    """How fast the server goes, in millionths."""
    return Parameter(name, default, 1, 100 * MILLION, f"{meaning}, in millionths")


def decay_parameter(name: str, default: int, meaning: str) -> Parameter:
    """What share of the past is kept, in millionths."""
    return Parameter(name, default, 0, MILLION - 1, f"{meaning}, in millionths")


def settled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, those below 2^-200 replaced by zero."""
    return np.where(np.abs(values) < _TINY, 0.0, values)


class ServerOptimizer(WeightedMean):
    """What FedAvgM, FedAdam and FedYogi share: pseudo-gradient in model units, step back to fixed point."""

    def step(
        self, combined: NDArray[np.int32], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        direction, after = self._move(combined / SCALE, state)
        units = np.rint(direction * SCALE).clip(-MAX_UPDATE_INT, MAX_UPDATE_INT)
        return units.astype(np.int32), after

    @abstractmethod
    def _move(
        self, gradient: NDArray[np.float64], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The step (W) and the new state (S x W) from the mean update (W) and the state (S x W), in model units."""
