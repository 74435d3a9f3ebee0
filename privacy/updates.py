"""Checks of model updates.

An update is a vector: int32 in units of 2^-24 (as on the wire), or floats in model units (before quantisation).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_ml.fixed_point import SCALE
from privacy.errors import UpdateInvalid

_BLOCK = 65536
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def check_update(vector: NDArray[Any], max_norm: float | None = None, *, size: int | None = None) -> float:
    """Check an update and return its L2 norm in model units.

    Args:
        vector: D int32 (2^-24 units), float32 or float64 (model units).
        max_norm: the largest allowed norm, in model units; None: any finite one. For int32 half a unit a coordinate is
            allowed on top, which is what rounding may add to a vector that was clipped before.
        size: the D that the model has; None: any.

    Raises:
        UpdateInvalid: not a vector of that size, another dtype, a value that is not finite or denormal (a subnormal
            float slows arithmetic a hundredfold and carries nothing), or a norm beyond the bound.
    """
    if vector.ndim != 1 or vector.size == 0 or (size is not None and vector.size != size):
        raise UpdateInvalid(
            f"the update has shape {list(vector.shape)}", expected=f"a vector of {size or 'one or more'} values"
        )
    if vector.dtype == np.int32:
        norm = _exact_norm(vector) / SCALE
        slack = math.sqrt(vector.size) / 2 / SCALE
    elif vector.dtype in _FLOATS:
        require_normal(vector)
        norm = _norm(vector)
        slack = 0.0
    else:
        raise UpdateInvalid(f"the update is {vector.dtype}", expected="int32, float32 or float64")
    if max_norm is not None and not norm <= max_norm + slack:
        raise UpdateInvalid(
            f"the update's L2 norm is {norm:.6g}",
            expected=f"at most {max_norm:g}",
            action="Clip the update to the round's bound before sending it.",
            norm=norm,
            max_norm=max_norm,
        )
    return norm


def _exact_norm(vector: NDArray[np.int32]) -> float:
    """L2 norm of integers, rounded once: the squares are summed exactly, in halves, so that nothing overflows."""
    total = 0
    for start in range(0, vector.size, _BLOCK):
        squares = vector[start : start + _BLOCK].astype(np.int64) ** 2
        total += (int((squares >> 32).sum()) << 32) + int((squares & 0xFFFFFFFF).sum())
    return math.sqrt(total)


def _norm(vector: NDArray[Any]) -> float:
    """L2 norm in float64, read in blocks; values are scaled so that no square overflows or underflows."""
    largest = max(float(vector.max()), -float(vector.min()))
    if largest == 0:
        return 0.0
    squares = []
    for start in range(0, vector.size, _BLOCK):
        block = vector[start : start + _BLOCK].astype(np.float64) / largest
        squares.append(float(block @ block))
    norm = largest * math.sqrt(math.fsum(squares))
    if not math.isfinite(norm):
        raise UpdateInvalid("the update's L2 norm is not a finite number", expected="a finite norm")
    return norm


def require_normal(vector: NDArray[Any]) -> None:
    """Refuse NaN, infinities and subnormal floats.

    Raises:
        UpdateInvalid
    """
    if not np.isfinite(vector).all():
        raise UpdateInvalid("a value is NaN or infinite", expected="finite numbers only")
    size = np.abs(vector)
    if ((size > 0) & (size < np.finfo(vector.dtype).tiny)).any():
        raise UpdateInvalid("a value is denormal", expected=f"0, or at least {float(np.finfo(vector.dtype).tiny):.3g}")
