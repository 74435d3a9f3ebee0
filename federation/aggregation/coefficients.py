"""Aggregates v = sum(a_j u_j): found among the N coefficients instead of the D coordinates.

The coefficients are integers over 2^30. So the distance of every update to v follows exactly from the inner products of
the updates, and iterating costs N^2 however large the model is; D coordinates are combined once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ONE = 2**30  # |sum(a_j u_j)| <= 2^30 x 2^31 stays within int64; a step of 2^-30 moves an update of 2^27 by 1/8 unit


def squared_distances_to(products: NDArray[Any], numerators: Sequence[int], denominator: int) -> list[int]:
    """denominator^2 |u_i - sum(a_j u_j) / denominator|^2 for every update, exact.

    Args:
        products: N x N inner products of the updates, Python integers (see `gram`).
        numerators: the N integers a_j.
        denominator: at least 1.
    """
    with_combination = products @ np.array(numerators, dtype=object)
    square = sum(a * inner for a, inner in zip(numerators, with_combination, strict=True))
    return [
        denominator * (denominator * own - 2 * inner) + square
        for own, inner in zip(products.diagonal(), with_combination, strict=True)
    ]
