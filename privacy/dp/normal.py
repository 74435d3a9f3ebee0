"""The standard normal distribution in log space, from the C library's `erfc`."""

from __future__ import annotations

import math

_ASYMPTOTIC_BELOW = -30.0
_TERMS = 8


def log_cdf(x: float) -> float:
    """log Phi(x), accurate far into the left tail where Phi itself underflows.

    Down to x = -30 from `erfc`; below from the asymptotic series phi(x)/|x| (1 - 1/x^2 + 3/x^4 - 15/x^6 + ...)
    (Abramowitz & Stegun 26.2.12), whose first left-out term is below 1e-17 there.
    """
    if x >= _ASYMPTOTIC_BELOW:
        return math.log1p(-math.erfc(x / math.sqrt(2)) / 2) if x > 0 else math.log(math.erfc(-x / math.sqrt(2)) / 2)
    term, series = 1.0, 1.0
    for k in range(1, _TERMS):
        term *= -(2 * k - 1) / (x * x)
        series += term
    return -x * x / 2 - math.log(-x) - math.log(2 * math.pi) / 2 + math.log(series)
