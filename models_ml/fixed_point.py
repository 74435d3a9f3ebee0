"""Fixed point: model values as integers in units of 2^-24.

An update is bounded to |u| <= 8 and rounded to int32 (`rint(u * 2^24)`, ties to even), as many bytes as float32. A
model *is* its integers; floats are a view of them. Integer sums are the same in every order, thread count and machine,
so whoever holds the updates of a round recomputes the same model and the same hash.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.errors import OutOfRange

FRAC_BITS = 24
SCALE = 1 << FRAC_BITS
MAX_UPDATE = 8
"""Largest absolute value of an update, in model units."""
MAX_UPDATE_INT = MAX_UPDATE * SCALE
MAX_MODEL_INT = 2**31 - 1
"""Largest absolute value of a model's integers (int32 without its asymmetric minimum)."""

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]


def quantise(values: npt.ArrayLike) -> Int32:
    """Round real values to int32 units of 2^-24, same shape.

    Raises:
        OutOfRange: a value is NaN, infinite, or beyond +-8.
    """
    real = np.asarray(values, dtype=np.float64)
    if not np.isfinite(real).all():
        raise OutOfRange("a value is not a finite number", expected="finite numbers only")
    scaled = np.rint(real * SCALE)
    worst = float(np.abs(scaled).max(initial=0.0))
    if worst > MAX_UPDATE_INT:
        raise OutOfRange(
            f"the largest value is {worst / SCALE:g}",
            expected=f"absolute values of at most {MAX_UPDATE}",
            action="Clip the update, or lower the learning rate.",
        )
    return scaled.astype(np.int32)


def dequantise(values: npt.NDArray[np.integer[Any]]) -> Float64:
    """The float64 view of fixed-point integers (exact: every int32 is one float64)."""
    return np.asarray(values, dtype=np.float64) / SCALE


def round_half_up_div(numerator: Int64, denominator: int) -> Int64:
    """Exact `floor(numerator / denominator + 1/2)` = `floor((2a + b) / (2b))` elementwise, without overflow.

    Args:
        numerator: int64 array.
        denominator: positive integer below 2^63.
    """
    if not 0 < denominator < 2**63:
        raise ValueError(f"the denominator must lie in 1..2^63-1, got {denominator}")
    divisor = np.int64(denominator)
    quotient = numerator // divisor  # by a scalar: several times as fast as `divmod`
    remainder = numerator - quotient * divisor
    quotient += remainder >= divisor - remainder
    return quotient


def difference(new: Int32, old: Int32) -> Int32:
    """`new - old` as an update.

    Raises:
        OutOfRange: beyond +-8 in model units.
    """
    exact = new.astype(np.int64) - old
    if np.abs(exact).max(initial=0) > MAX_UPDATE_INT:
        raise OutOfRange("the models are too far apart", expected=f"differences of at most {MAX_UPDATE}")
    return exact.astype(np.int32)


def add_update(model: Int32, update: Int32) -> Int32:
    """`model + update` in fixed point, same shape.

    Raises:
        OutOfRange: the sum leaves the int32 range (|value| < 128 in model units).
    """
    total = model.astype(np.int64) + update
    if np.abs(total).max(initial=0) > MAX_MODEL_INT:
        raise OutOfRange(
            "a model value leaves the fixed-point range", expected=f"absolute values below {2**31 // SCALE}"
        )
    return total.astype(np.int32)
