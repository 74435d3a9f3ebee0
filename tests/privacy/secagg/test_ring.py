"""Signed integers as words, and the words' bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.errors import MaskedVectorInvalid, PrivacyParameterInvalid
from privacy.secagg import ring


@pytest.mark.parametrize(
    ("bound", "parties", "bits"),
    [(2**31 // 3, 3, 32), (2**31 // 4, 4, 64), (10_737_418, 200, 32), (10_737_419, 200, 64), (2**61, 3, 64)],
)
def test_words_are_as_wide_as_the_sum_needs(bound: int, parties: int, bits: int) -> None:
    assert ring.word_bits(bound, parties) == bits


def test_sums_beyond_64_bits_are_refused() -> None:
    with pytest.raises(PrivacyParameterInvalid):
        ring.word_bits(2**61, 4)


@pytest.mark.parametrize("bits", [32, 64])
def test_values_come_back(bits: int) -> None:
    values = np.array([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))], dtype=np.int64)
    words = ring.to_ring(values, bits)
    data = ring.to_bytes(words)
    assert words.dtype == np.dtype(f"<u{bits // 8}")
    assert data == b"".join(int(value).to_bytes(bits // 8, "little", signed=True) for value in values)
    back = ring.from_bytes(data, 5, bits)
    back += back.dtype.type(0)  # writable
    assert np.array_equal(ring.from_ring(back), values)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_values_beyond_the_words_are_refused(value: int) -> None:
    with pytest.raises(MaskedVectorInvalid):
        ring.to_ring(np.array([0, value]), 32)


@pytest.mark.parametrize("values", [np.zeros(2, dtype=np.int32), np.zeros(2), np.zeros((2, 2), dtype=np.int64)])
def test_other_arrays_are_refused(values: NDArray[Any]) -> None:
    with pytest.raises(MaskedVectorInvalid):
        ring.to_ring(values, 32)


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_bodies_have_one_length(length: int) -> None:
    with pytest.raises(MaskedVectorInvalid, match="16 bytes"):
        ring.from_bytes(bytes(length), 4, 32)
