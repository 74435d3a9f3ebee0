"""Shamir's secret sharing ("How to Share a Secret", CACM 1979) of 32-byte secrets, modulo 2^256 + 297."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from operator import mul

PRIME = 2**256 + 297
"""The smallest prime above every 32-byte secret; uniform 32 bytes are within 2^-247 of a uniform element."""
SHARE_BYTES = 33


def split(secret: int, first: Sequence[int], count: int) -> list[int]:
    """The shares at 1 to `count` of the polynomial that is the secret at 0 and takes the values `first` from 1 on.

    The t-th differences of a polynomial of a degree below t vanish, so each further share is a combination of the t
    values before it, with binomial coefficients.

    Args:
        secret: below `PRIME`.
        first: threshold - 1 uniform elements. They are the first shares, and take the place of random coefficients.
    """
    threshold = len(first) + 1
    recurrence = _recurrence(threshold)
    values = [secret, *first]
    while len(values) <= count:
        values.append(sum(map(mul, recurrence, values[-threshold:])) % PRIME)
    return values[1:]


def weights(points: Sequence[int]) -> list[int]:
    """Lagrange coefficients w with f(0) = sum(w_i f(x_i)) for every polynomial f of a degree below their number.

    Args:
        points: distinct, from 1 on.
    """
    return [
        math.prod(other for other in points if other != x)
        * pow(math.prod(other - x for other in points if other != x), -1, PRIME)
        % PRIME
        for x in points
    ]


@cache
def _recurrence(threshold: int) -> list[int]:
    """The weights of the last `threshold` values, oldest first."""
    return [(-1) ** (back + 1) * math.comb(threshold, back) for back in range(threshold, 0, -1)]
