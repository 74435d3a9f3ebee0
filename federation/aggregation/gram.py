"""Exact inner products of a cohort's updates, at the speed of BLAS.

A float64 product of integer matrices is exact as long as every partial sum stays below 2^53. Each block of 4096 = 2^12
coordinates is centred on its floored mean (distances do not change, numbers become small). Values up to 2^20 go into
one product (2^40 x 2^12 = 2^52); larger ones are split as high 2^17 + low and go into one product of the stacked halves
(2^34 x 2^12). Shifting large values to fewer bits instead would be faster and wrong: one huge coordinate of one hostile
update would then round the honest updates away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import WIDTH, rows, spans

_ONE_PRODUCT = 2**20
_LIMB_BITS = 17
_FLUSH = 2**63 // 2**53 - 1  # blocks of sums below 2^53 that an int64 holds


def gram(updates: Sequence[NDArray[np.int32]], *, centred: bool) -> NDArray[Any]:
    """The N x N matrix of inner products as Python integers.

    Args:
        updates: N vectors of D int32.
        centred: subtract each coordinate's floored mean over the cohort first (for distances: see `squared_distances`).
    """
    count = len(updates)
    total: NDArray[Any] = np.zeros((count, count), dtype=object)
    sums = np.zeros((3, count, count), dtype=np.int64)  # units of 2^34, 2^17 and 1
    for number, span in enumerate(spans(updates[0].size, WIDTH), start=1):
        block = rows(updates, span).astype(np.int64)
        if centred:
            block -= block.sum(axis=0) // count
        _add_products(block, sums)
        if number % _FLUSH == 0:
            total += _joined(sums)
            sums[:] = 0
    total += _joined(sums)
    return total


def squared_distances(updates: Sequence[NDArray[np.int32]]) -> NDArray[Any]:
    """|u_i - u_j|^2 for every pair, N x N Python integers, exact."""
    return distances_of(gram(updates, centred=True))


def distances_of(products: NDArray[Any]) -> NDArray[Any]:
    """|u_i - u_j|^2 for every pair from their inner products, centred or not."""
    squares = products.diagonal()
    distances: NDArray[Any] = squares[:, None] + squares[None, :] - 2 * products
    return distances


def squared_norms(updates: Sequence[NDArray[np.int32]]) -> list[int]:
    """|u_i|^2 of every update, exact, in time linear in N."""
    return [int(gram([update], centred=False).item()) for update in updates]


def _add_products(block: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
    """Add the inner products of the block's rows to `sums`."""
    if max(int(block.max()), -int(block.min())) <= _ONE_PRODUCT:
        values = block.astype(np.float64)
        sums[2] += (values @ values.T).astype(np.int64)
        return
    count = block.shape[0]
    high = block >> _LIMB_BITS
    values = np.concatenate((high, block - (high << _LIMB_BITS))).astype(np.float64)
    products = (values @ values.T).astype(np.int64)
    sums[0] += products[:count, :count]
    sums[1] += products[:count, count:]
    sums[1] += products[count:, :count]
    sums[2] += products[count:, count:]


def _joined(sums: NDArray[np.int64]) -> NDArray[Any]:
    """The three sums as one matrix of Python integers."""
    parts = sums.astype(object)
    joined: NDArray[Any] = parts[0] * 2 ** (2 * _LIMB_BITS) + parts[1] * 2**_LIMB_BITS + parts[2]
    return joined
