"""Exact weighted means of fixed-point updates.

A sum of integers does not depend on order, threads or machine, so anyone who holds the updates finds the same mean. The
sums are int64 and the division rounds half up, towards plus infinity: floor((2a + b) / 2b).

The sums are made by BLAS, in float64, and are exact all the same: numerators are cut into limbs so small that no
partial sum of products with int32 values reaches 2^53.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import WIDTH, Block, spans
from federation.aggregation.errors import WeightOverflow
from models_ml.fixed_point import round_half_up_div

# |u| <= 2^31 by dtype, hence |sum(w u)| <= 2^31 sum(w): within int64 for every update when sum(w) <= 2^32 - 1.
MAX_TOTAL_WEIGHT = (2**63 - 1) // 2**31
_LIMB_TOTAL = 2**21  # 2^31 x 2^21 = 2^52
_WIDTH = 4 * WIDTH
_SCRATCH = 2**20  # float64 values, 8 MiB, whatever the number of updates


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


class Combination:
    """round_half_up(sum(a_i u_i) / denominator) for every coordinate.

    Args:
        numerators: M integers a_i of at least 0 whose sum is at most the denominator, so that the result is an int32.
        denominator: at least 1.

    Raises:
        WeightOverflow: the denominator exceeds `MAX_TOTAL_WEIGHT`.
    """

    def __init__(self, numerators: Sequence[int], denominator: int) -> None:
        if min(numerators) < 0 or sum(numerators) > require_total([denominator]):
            raise ValueError("the numerators must not be negative, nor exceed the denominator together")
        self._denominator = denominator
        self._bits, self._limbs = _limbs(numerators)

    def __call__(self, block: Block) -> NDArray[np.int32]:
        """M vectors of W int32 in, W int32 out."""
        size = len(block[0])
        mean = np.empty(size, dtype=np.int32)  # a mean of int32 values is within int32
        width = min(size, _WIDTH, max(WIDTH // 8, _SCRATCH // len(block)))
        scratch = np.empty((len(block), width))
        for span in spans(0, size, width):
            real = scratch[:, : span.stop - span.start]
            for index, values in enumerate(block):
                real[index] = values[span]
            sums = np.zeros(real.shape[1], dtype=np.int64)
            for limb in self._limbs:  # from the highest
                sums <<= self._bits
                sums += (limb @ real).astype(np.int64)
            mean[span] = round_half_up_div(sums, self._denominator)
        return mean


def _limbs(numerators: Sequence[int]) -> tuple[int, list[NDArray[np.float64]]]:
    """How many bits a limb has, and the numerators' limbs, the highest first; every limb adds up to 2^21 at most."""
    if sum(numerators) <= _LIMB_TOTAL:
        return 0, [np.array(numerators, dtype=np.float64)]
    bits = (_LIMB_TOTAL // len(numerators)).bit_length() - 1
    number = -(-max(numerators).bit_length() // bits)
    limbs = [[numerator >> (bits * index) & (2**bits - 1) for numerator in numerators] for index in range(number)]
    return bits, [np.array(limb, dtype=np.float64) for limb in reversed(limbs)]
