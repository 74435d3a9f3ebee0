"""From an update to the integers that are masked, and from their sum back to a mean.

Every organisation weighs its own update before it is masked, with a weight that everybody can compute from the declared
sample counts. So the sum of the masked vectors is the numerator of the weighted mean, and only its denominator depends
on who dropped out.

    x_i = truncate(w_i u_i / 2^(16 + 24 - b))        w_i in 1..2^16, u_i in units of 2^-24, x_i in units of 2^-b
    mean = round_half_up(2^(16 + 24 - b) sum(x_i) / sum(w_i))

Truncation is towards zero: neither weight nor rounding lengthens an update that was clipped. The sum of n of them is
within n units of 2^-b of the exact one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from federation.aggregation import weighting
from federation.round_config import PPM, RoundConfig
from models_ml.codec import Int32
from models_ml.fixed_point import FRAC_BITS, Int64, round_half_up_div
from privacy.dp.noise import share_of_noise
from privacy.mechanism import Gaussian, parse

WEIGHT_BITS = 16
LARGEST_WEIGHT = 1 << WEIGHT_BITS


def public_weights(samples: Mapping[str, int], how: str) -> dict[str, int]:
    """Everybody's weight from everybody's declared sample count; the largest weight is 2^16.

    Args:
        samples: by organisation, of the whole roster, whoever drops out later.
        how: one of `federation.aggregation.weighting.WEIGHTINGS`.

    Raises:
        MethodInvalid, CohortInvalid, WeightOverflow: as `weighting.weights`.
    """
    names = sorted(samples)
    exact = weighting.weights([samples[name] for name in names], how).tolist()
    largest = max(exact)
    return {
        name: max(1, (2 * LARGEST_WEIGHT * weight + largest) // (2 * largest))
        for name, weight in zip(names, exact, strict=True)
    }


def weighted(update: Int32, weight: int, frac_bits: int) -> Int64:
    """The integers that an organisation masks, in units of 2^-frac_bits; |x| <= max|u| in those units."""
    exact = update.astype(np.int64) * weight
    truncated: Int64 = np.sign(exact) * (np.abs(exact) >> _shift(frac_bits))
    return truncated


def mean(total: Int64, weight: int, frac_bits: int) -> Int32:
    """The weighted mean in units of 2^-24, from the sum of what `weighted` gave and the sum of the weights."""
    return round_half_up_div(total << _shift(frac_bits), weight).astype(np.int32)


def noise_sigma(config: RoundConfig) -> float:
    """The standard deviation of the noise that each organisation adds to its integers; 0 where it adds none to them.

    Only noise on whole updates is added here: noise for single records is in the update already.
    """
    mechanism = parse(config.privacy)
    if not isinstance(mechanism, Gaussian):
        return 0.0
    return share_of_noise(mechanism.sigma_ppm / PPM * 2**config.frac_bits, mechanism.shares)


def bound(config: RoundConfig) -> int:
    """The largest absolute value that an organisation masks: of its update, and of the noise with it (8 sigma)."""
    return (config.max_abs << config.frac_bits) + math.ceil(8 * noise_sigma(config))


def _shift(frac_bits: int) -> int:
    return WEIGHT_BITS + FRAC_BITS - frac_bits
