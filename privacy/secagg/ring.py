"""Signed integers as words that wrap around: two's complement modulo 2^32 or 2^64, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.errors import MaskedVectorInvalid, PrivacyParameterInvalid
from privacy.secagg.masks import Words

_UNSIGNED: Mapping[int, np.dtype[Any]] = {32: np.dtype("<u4"), 64: np.dtype("<u8")}
_SIGNED: Mapping[int, np.dtype[Any]] = {32: np.dtype("<i4"), 64: np.dtype("<i8")}


def word_bits(bound: int, parties: int) -> int:
    """The narrowest words, 32 or 64 bits, in which the sum cannot overflow.

    Args:
        bound: the largest magnitude that a value of one party can have.

    Raises:
        PrivacyParameterInvalid: not even 64 bits are enough.
    """
    for bits in _UNSIGNED:
        if parties * bound < 2 ** (bits - 1):
            return bits
    raise PrivacyParameterInvalid(
        f"{parties} values of magnitude {bound}", expected="a sum below 2^63", action="Lower the scale or the bound."
    )


def to_ring(values: NDArray[np.int64], bits: int) -> Words:
    """The values as words of `bits` bits, a copy.

    Raises:
        MaskedVectorInvalid: not a vector of int64, or a value that does not fit.
    """
    if values.dtype != np.int64 or values.ndim != 1:
        raise MaskedVectorInvalid(f"{values.dtype.str} of shape {list(values.shape)}", expected="a vector of int64")
    limit = 2 ** (bits - 1)
    if values.size and not -limit <= int(values.min()) <= int(values.max()) < limit:
        raise MaskedVectorInvalid(f"a value beyond {bits} bits", expected=f"magnitudes below 2^{bits - 1}")
    return values.astype(_SIGNED[bits]).view(_UNSIGNED[bits])


def from_ring(vector: Words) -> NDArray[np.int64]:
    """The signed values of the words, a copy."""
    return vector.view(_SIGNED[8 * vector.dtype.itemsize]).astype(np.int64)


def to_bytes(vector: Words) -> bytes:
    """The words as they are sent: little-endian, nothing else."""
    return vector.astype(_UNSIGNED[8 * vector.dtype.itemsize], copy=False).tobytes()


def from_bytes(data: bytes, count: int, bits: int) -> Words:
    """`count` words of `bits` bits, a writable copy.

    Raises:
        MaskedVectorInvalid: not exactly their length.
    """
    dtype = _UNSIGNED[bits]
    if len(data) != count * dtype.itemsize:
        raise MaskedVectorInvalid(
            f"{len(data)} bytes", expected=f"{count * dtype.itemsize} bytes: {count} little-endian words of {bits} bits"
        )
    return np.frombuffer(data, dtype=dtype).copy()
