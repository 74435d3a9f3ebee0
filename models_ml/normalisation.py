"""Federated normalisation: moments of the features that organisations sum instead of pooling their records.

The normaliser is a model of its own (`edge-normaliser`: `mean` and `second_moment` of every feature). Each
organisation submits how far its moments are from the parent's; a FedAvg round weighted by samples then gives the
moments of all records together, exact to the rounding of fixed point.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.dpsgd import Coins, RecordNoise, private_means
from models_ml.fixed_point import MAX_UPDATE, dequantise, quantise

Float32 = npt.NDArray[np.float32]

MIN_DEVIATION = 0.05
"""A feature that hardly varies in the federation is not blown up: its deviation counts as at least this."""
MAX_NORMALISED = 6.0
"""Normalised values are cut off here, so that no single flow can dominate an update."""

RECORD_NORM = 10.0
"""L2 norm to which a record's features and their squares are clipped under noise; 99 in 100 real flows stay below."""


def moments(features: Float32) -> dict[str, Int32]:
    """Mean and mean square of every column of (n, features), n >= 1, in fixed point."""
    exact = features.astype(np.float64)
    return {"mean": quantise(exact.mean(axis=0)), "second_moment": quantise(np.square(exact).mean(axis=0))}


def private_moments(features: Float32, noise: RecordNoise, coins: Coins) -> dict[str, Int32]:
    """`moments` under differential privacy: one release of noise on the records' values and squares, clipped.

    Features are never negative, so neither are these; they are cut off at the bound of an update, as noise has none.

    Raises:
        TooFewFlows: no records.
    """
    exact = features.astype(np.float64)
    means = private_means(np.hstack((exact, np.square(exact))), noise, coins)
    mean, second_moment = np.split(quantise(np.clip(means, 0, MAX_UPDATE)), 2)
    return {"mean": mean, "second_moment": second_moment}


def normalise(features: Float32, normaliser: Mapping[str, Int32]) -> Float32:
    """`(x - mean) / deviation` by the federation's moments, cut off at +-6."""
    mean = dequantise(normaliser["mean"])
    variance = np.maximum(dequantise(normaliser["second_moment"]) - np.square(mean), 0.0)
    deviation = np.maximum(np.sqrt(variance), MIN_DEVIATION)
    scaled = (features - mean.astype(np.float32)) / deviation.astype(np.float32)
    return np.clip(scaled, -MAX_NORMALISED, MAX_NORMALISED)
