"""Exact inner products of a cohort's updates, at the speed of BLAS.

A float64 product of integer matrices is exact as long as every partial sum stays below 2^53, whatever the order in
which BLAS adds. Values up to 2^20 (1/16 in model units) are multiplied 4096 = 2^12 coordinates at a time (2^40 x 2^12 =
2^52), values up to 2^22 in narrower blocks; larger ones are split as high 2^17 + low and go into one product of the
stacked halves (2^34 x 2^12). Shifting large values to fewer bits instead would be faster and wrong: one huge coordinate
of one hostile update would then round the honest updates away.

Because the products are exact, distances follow from them without loss: the centring that a float Gram matrix needs,
where |u|^2 + |v|^2 - 2 uv cancels, is not needed here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import WIDTH, Block, spans

_ONE_PRODUCT = 2**20
_SPLIT_FROM = 2**22
_LIMB_BITS = 17
_CARRY_BITS = 32
# As many blocks of at least 256 coordinates as one call may add up: sums below 2^52 x 2^10 stay within int64.
MAX_COORDINATES = 256 * 2**10


class ProductSum:
    """Adds up inner products (N x N) of any number of coordinates; the result is Python integers.

    Sums are kept as high 2^32 + low, so that int64 arrays hold 2^31 additions.
    """

    def __init__(self, count: int) -> None:
        self._high = np.zeros((3, count, count), dtype=np.int64)
        self._low = np.zeros((3, count, count), dtype=np.int64)

    def add(self, sums: NDArray[np.int64]) -> None:
        """Add what `products` returned."""
        high = sums >> _CARRY_BITS
        self._high += high
        self._low += sums - (high << _CARRY_BITS)

    def total(self) -> NDArray[Any]:
        """The N x N matrix of Python integers."""
        parts = self._high.astype(object) * 2**_CARRY_BITS + self._low.astype(object)
        total: NDArray[Any] = parts[0] * 2 ** (2 * _LIMB_BITS) + parts[1] * 2**_LIMB_BITS + parts[2]
        return total


def products(block: Block) -> NDArray[np.int64]:
    """The inner products of N vectors of at most `MAX_COORDINATES` int32: 3 x N x N, in units of 2^34, 2^17 and 1."""
    count, size = len(block), len(block[0])
    if size > MAX_COORDINATES:
        raise ValueError(f"{size} coordinates are more than {MAX_COORDINATES}")
    sums = np.zeros((3, count, count), dtype=np.int64)
    scratch = np.empty((count, min(size, WIDTH)))
    for span in spans(0, size):
        real = scratch[:, : span.stop - span.start]
        for index, values in enumerate(block):
            real[index] = values[span]
        largest = max(real.max(), -real.min())
        if largest > _SPLIT_FROM:
            _add_split(real.astype(np.int64), sums)
            continue
        width = WIDTH
        while largest**2 * width > _ONE_PRODUCT**2 * WIDTH:
            width //= 2
        for part in spans(0, real.shape[1], width):
            sums[2] += (real[:, part] @ real[:, part].T).astype(np.int64)
    return sums


def _add_split(block: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
    """Add the inner products of N x W integers of int32's range to `sums`."""
    count = block.shape[0]
    high = block >> _LIMB_BITS
    halves = np.concatenate((high, block - (high << _LIMB_BITS))).astype(np.float64)
    joint = (halves @ halves.T).astype(np.int64)
    sums[0] += joint[:count, :count]
    sums[1] += joint[:count, count:]
    sums[1] += joint[count:, :count]
    sums[2] += joint[count:, count:]


def squared_distances(inner: NDArray[Any]) -> NDArray[Any]:
    """|u_i - u_j|^2 for every pair from their inner products, N x N Python integers, exact."""
    squares = inner.diagonal()
    distances: NDArray[Any] = squares[:, None] + squares[None, :] - 2 * inner
    return distances
