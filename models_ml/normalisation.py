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
from models_ml.fixed_point import dequantise, quantise

Float32 = npt.NDArray[np.float32]

MIN_DEVIATION = 0.05
"""A feature that hardly varies in the federation is not blown up: its deviation counts as at least this."""
MAX_NORMALISED = 6.0
"""Normalised values are cut off here, so that no single flow can dominate an update."""


def moments(features: Float32) -> dict[str, Int32]:
    """Mean and mean square of every column of (n, features), n >= 1, in fixed point."""
    exact = features.astype(np.float64)
    return {"mean": quantise(exact.mean(axis=0)), "second_moment": quantise(np.square(exact).mean(axis=0))}


def normalise(features: Float32, normaliser: Mapping[str, Int32]) -> Float32:
    """`(x - mean) / deviation` by the federation's moments, cut off at +-6."""
    mean = dequantise(normaliser["mean"])
    variance = np.maximum(dequantise(normaliser["second_moment"]) - np.square(mean), 0.0)
    deviation = np.maximum(np.sqrt(variance), MIN_DEVIATION)
    scaled = (features - mean.astype(np.float32)) / deviation.astype(np.float32)
    return np.clip(scaled, -MAX_NORMALISED, MAX_NORMALISED)
