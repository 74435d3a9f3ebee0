"""From an update to the integers that are masked, and from their sum back to a mean.

Every organisation weighs its own update before it is masked, with a weight that everybody can compute from the declared
sample counts. So the sum of the masked vectors is the numerator of the weighted mean, and only its denominator depends
on who dropped out.

    x_i = round_half_up(w_i u_i / 2^(16 + 24 - b))        w_i in 1..2^16, u_i in units of 2^-24, x_i in units of 2^-b
    mean = round_half_up(2^(16 + 24 - b) sum(x_i) / sum(w_i))

Each x_i is rounded once, so the mean is within n / 2 units of 2^-b, divided by the sum of w_i / 2^16, of the exact one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from federation.aggregation import weighting
from models_ml.codec import Int32
from models_ml.fixed_point import FRAC_BITS, Int64, round_half_up_div

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
    return round_half_up_div(update.astype(np.int64) * weight, 1 << _shift(frac_bits))


def mean(total: Int64, weight: int, frac_bits: int) -> Int32:
    """The weighted mean in units of 2^-24, from the sum of what `weighted` gave and the sum of the weights."""
    return round_half_up_div(total << _shift(frac_bits), weight).astype(np.int32)


def bound(max_abs: int, frac_bits: int) -> int:
    """The largest absolute value that `weighted` gives for updates of at most `max_abs` model units."""
    return max_abs << frac_bits


def _shift(frac_bits: int) -> int:
    return WEIGHT_BITS + FRAC_BITS - frac_bits
