"""Cohorts for the aggregation tests: drawn by hypothesis, or built from lists."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort

INT32 = (-(2**31), 2**31 - 1)


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def combined(shares: Sequence[Fraction], vectors: Sequence[Sequence[int]]) -> list[Fraction]:
    """sum(share_i vector_i), exact, coordinate by coordinate."""
    return [
        sum((share * vector[d] for share, vector in zip(shares, vectors, strict=True)), Fraction(0))
        for d in range(len(vectors[0]))
    ]


def squared_distance(vector: Sequence[int], point: Sequence[Fraction]) -> Fraction:
    return sum(((a - b) ** 2 for a, b in zip(vector, point, strict=True)), Fraction(0))


def largest_factor(bound: Fraction, square: Fraction, steps: int) -> Fraction:
    """The largest multiple c <= 1 of 1 / steps with c^2 square <= bound, by bisection: no square root."""
    low, high = 0, steps
    while low < high:
        middle = (low + high + 1) // 2
        if Fraction(middle, steps) ** 2 * square <= bound:
            low = middle
        else:
            high = middle - 1
    return Fraction(low, steps)


def cohort(updates: Sequence[Sequence[int] | NDArray[Any]], weights: Sequence[int] | None = None) -> Cohort:
    """A cohort of these updates, weights one unless given, digests of the bytes."""
    vectors = [np.array(update, dtype=np.int32) for update in updates]
    return Cohort(
        updates=vectors,
        weights=np.array(weights if weights is not None else [1] * len(vectors), dtype=np.int64),
        digests=[hashlib.sha256(vector.tobytes()).hexdigest() for vector in vectors],
    )


def shuffled(original: Cohort, order: Sequence[int]) -> Cohort:
    """The same cohort, arrived in another order."""
    return Cohort(
        updates=[original.updates[index] for index in order],
        weights=original.weights[list(order)],
        digests=[original.digests[index] for index in order],
    )


@st.composite
def cohorts(draw: st.DrawFn, smallest: int = 5, largest: int = 9, bound: int = 2**31 - 1) -> Cohort:
    """Small cohorts over the whole range of int32, extremes and repeats likely."""
    count = draw(st.integers(smallest, largest))
    size = draw(st.integers(1, 6))
    value = st.one_of(st.integers(-bound - 1, bound), st.integers(-3, 3), st.sampled_from((-bound - 1, bound)))
    updates = draw(st.lists(st.lists(value, min_size=size, max_size=size), min_size=count, max_size=count))
    weights = draw(st.lists(st.integers(1, 2**28), min_size=count, max_size=count))
    return cohort(updates, weights)
