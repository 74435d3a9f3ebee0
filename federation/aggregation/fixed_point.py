"""Exact weighted means of fixed-point updates.

A sum of integers does not depend on order, threads or machine, so anyone who holds the updates finds the same mean. The
accumulator is int64 and the division rounds half up, towards plus infinity: floor((2a + b) / 2b).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import spans
from federation.aggregation.errors import WeightOverflow
from models_ml.fixed_point import round_half_up_div

# |u| <= 2^31 by dtype, hence |sum(w u)| <= 2^31 sum(w): within int64 for every update when sum(w) <= 2^32 - 1.
MAX_TOTAL_WEIGHT = (2**63 - 1) // 2**31

_WIDTH = 65536  # the scratch of one block fits the second-level cache


def require_total(weights: Sequence[int]) -> int:
    """The sum of the weights, if no weighted sum of int32 can overflow int64 with it.

    Raises:
        WeightOverflow: the sum exceeds `MAX_TOTAL_WEIGHT`.
    """
    total = sum(int(weight) for weight in weights)
    if total > MAX_TOTAL_WEIGHT:
        raise WeightOverflow(
            f"the weights add up to {total}",
            expected=f"at most {MAX_TOTAL_WEIGHT}, the bound of the exact 64-bit sum",
            action="Weigh organisations equally, or count samples in larger units, the same for everybody.",
            total_weight=total,
            limit=MAX_TOTAL_WEIGHT,
        )
    return total


def weighted_mean(updates: Sequence[NDArray[np.int32]], weights: NDArray[np.int64]) -> NDArray[np.int32]:
    """round_half_up(sum(w_i u_i) / sum(w_i)) for every coordinate.

    Args:
        updates: N vectors of D int32.
        weights: N int64, each at least 1.

    Raises:
        WeightOverflow: the total weight exceeds `MAX_TOTAL_WEIGHT`.
    """
    counts = weights.tolist()
    return combination(updates, counts, require_total(counts))


def combination(updates: Sequence[NDArray[np.int32]], numerators: Sequence[int], denominator: int) -> NDArray[np.int32]:
    """round_half_up(sum(a_i u_i) / denominator) for every coordinate.

    Reads one vector at a time, none whose numerator is 0; the extra memory (an int64 vector and small blocks) does not
    grow with N.

    Args:
        updates: N vectors of D int32.
        numerators: N integers a_i of at least 0 whose sum is at most the denominator, so that the result is an int32.
        denominator: at least 1.

    Raises:
        WeightOverflow: the denominator exceeds `MAX_TOTAL_WEIGHT`.
    """
    if min(numerators) < 0 or sum(numerators) > require_total([denominator]):
        raise ValueError("the numerators must not be negative, nor exceed the denominator together")
    size = updates[0].size
    sums = np.zeros(size, dtype=np.int64)
    scratch = np.empty(min(size, _WIDTH), dtype=np.int64)
    for update, numerator in zip(updates, numerators, strict=True):
        if not numerator:
            continue
        for span in spans(size, _WIDTH):
            product = scratch[: span.stop - span.start]
            np.multiply(update[span], np.int64(numerator), out=product)
            sums[span] += product
    mean = np.empty(size, dtype=np.int32)  # a mean of int32 values is within int32
    for span in spans(size, _WIDTH):
        mean[span] = round_half_up_div(sums[span], denominator)
    return mean
