"""Making an update fit for sending: bounded in L2 norm, in fixed point, with noise on the whole of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from federation.round_config import PPM
from models_ml.codec import Int32
from models_ml.fixed_point import MAX_UPDATE_INT, SCALE
from privacy.dp.noise import add_noise
from privacy.mechanism import Gaussian


def squared_norm(delta: Mapping[str, Int32]) -> int:
    """The exact squared L2 norm of fixed-point tensors, in units of 2^-48."""
    # Python integers beyond the blocks: a square is below 2^54, so 2^8 of them fit an int64.
    total = 0
    for name in sorted(delta):
        flat = delta[name].astype(np.int64).ravel()
        for start in range(0, flat.size, 256):
            block = flat[start : start + 256]
            total += int(block @ block)
    return total


def clip_to_norm(delta: Mapping[str, Int32], clip_norm_ppm: int) -> dict[str, Int32]:
    """Scale an update onto the ball of radius `clip_norm_ppm` / 10^6 model units; inside it, it stays as it is.

    Values are rounded towards zero, so that the result lies in the ball exactly, whatever the rounding. 0 is no bound.
    """
    within_range = {name: np.clip(array, -MAX_UPDATE_INT, MAX_UPDATE_INT) for name, array in delta.items()}
    if clip_norm_ppm == 0:
        return within_range
    bound = clip_norm_ppm * SCALE // PPM
    norm = math.isqrt(squared_norm(within_range)) + 1
    if squared_norm(within_range) <= bound * bound:
        return within_range
    factor = bound / norm * (1 - 1e-12)
    return {name: np.trunc(array * factor).astype(np.int32) for name, array in within_range.items()}


def with_noise(delta: Mapping[str, Int32], mechanism: Gaussian) -> dict[str, Int32]:
    """An update with all of the noise in every value, cut off at the bound of an update."""
    sigma = mechanism.sigma_ppm / PPM * SCALE
    return {
        name: np.clip(add_noise(array.astype(np.int64), sigma), -MAX_UPDATE_INT, MAX_UPDATE_INT).astype(np.int32)
        for name, array in delta.items()
    }
