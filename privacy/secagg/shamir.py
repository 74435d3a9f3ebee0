"""Shamir's secret sharing ("How to Share a Secret", CACM 1979) of 32-byte secrets, modulo 2^256 + 297."""

from __future__ import annotations

import math
from collections.abc import Sequence

PRIME = 2**256 + 297
"""The smallest prime above every 32-byte secret."""
SHARE_BYTES = 33


def split(secret: int, coefficients: Sequence[int], count: int) -> list[int]:
    """The shares at 1 to `count` of the polynomial secret + c_1 x + c_2 x^2 + ...

    Args:
        secret: below `PRIME`.
        coefficients: threshold - 1 uniform elements, c_1 first.
    """
    descending = coefficients[::-1]
    return [_evaluate(secret, descending, x) for x in range(1, count + 1)]


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


def _evaluate(secret: int, descending: Sequence[int], x: int) -> int:
    """Horner's rule; reduced once, since a small x lets the value grow by one byte a step only."""
    value = 0
    for coefficient in descending:
        value = value * x + coefficient
    return (value * x + secret) % PRIME
