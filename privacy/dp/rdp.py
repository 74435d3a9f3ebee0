"""What Poisson-sampled Gaussian steps cost together: Renyi differential privacy, order by order.

A step draws every record with probability q, clips its contribution to L2 norm C, and adds N(0, (sigma C)^2) to the
sum. Its Renyi divergence at order alpha is log A_alpha / (alpha - 1) with

    A_alpha = E_{z ~ N(0, sigma^2)} [((1 - q) + q exp((2 z - 1) / (2 sigma^2)))^alpha]

(Mironov, Talwar & Zhang, "Renyi Differential Privacy of the Sampled Gaussian Mechanism", 2019, theorems 4 and 5: the
worst of both directions of add/remove adjacency). Divergences of one order add up over steps, so what is kept is the
vector over all orders, never an epsilon, which does not add up.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from privacy.errors import PrivacyParameterInvalid

Float64 = npt.NDArray[np.float64]

ORDERS: tuple[float, ...] = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *map(float, range(11, 64)),
    128.0,
    256.0,
    512.0,
    1024.0,
)
"""The orders at which divergences are kept: those of dp-accounting, so that figures can be compared."""

LEAST_NOISE, MOST_NOISE = 1e-6, 1e12
"""Of noise multipliers: beyond, the formulas leave what a float can hold."""
_ROUNDED_UP = 1 + 1e-9
"""More than what sums, series and integrals here may fall short of, as a part of themselves."""
_LEAST_INTEGRATED = 0.1
"""Of noise multipliers: below, integrals take long, and bounds do, as nothing is private there."""
_TAIL = 10.0
"""Standard deviations beyond the peaks of the integrand at which it is cut off: e^-50 of it."""
_LARGEST_EXPONENT = 600.0
_SERIES_BELOW = 1e-3
"""Where (1 + w)^alpha - 1 - alpha w would cancel, its series of three terms is exact to 1e-11."""


def step(noise_multiplier: float, sampling_rate: float) -> tuple[float, ...]:
    """The divergences of one step, at `ORDERS`.

    Args:
        noise_multiplier: sigma, in units of the clipping norm.
        sampling_rate: q, the probability of each record to be drawn.

    Raises:
        PrivacyParameterInvalid: a value out of range.
    """
    if not LEAST_NOISE <= noise_multiplier <= MOST_NOISE:
        raise PrivacyParameterInvalid(
            f"noise multiplier {noise_multiplier:g}", expected=f"{LEAST_NOISE:g} to {MOST_NOISE:g}"
        )
    if not 0 < sampling_rate <= 1:
        raise PrivacyParameterInvalid(f"sampling rate {sampling_rate:g}", expected="a number above 0, at most 1")
    return _step(noise_multiplier, sampling_rate)


def steps(noise_multiplier: float, sampling_rate: float, count: int) -> tuple[float, ...]:
    """The divergences of `count` steps alike, at `ORDERS`.

    Raises:
        PrivacyParameterInvalid: a value out of range.
    """
    if count < 0:
        raise PrivacyParameterInvalid(f"{count} steps", expected="none, or more")
    return tuple(count * divergence for divergence in step(noise_multiplier, sampling_rate))


def composed(vectors: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The divergences of mechanisms one after the other, each given at `ORDERS`; correctly rounded sums."""
    return tuple(math.fsum(column) for column in zip(*vectors, strict=True)) or (0.0,) * len(ORDERS)


def epsilon(divergences: Sequence[float], delta: float) -> float:
    """The smallest epsilon at `delta` that the divergences at `ORDERS` prove; 0 where nothing was spent.

    epsilon = D_alpha + log((alpha - 1) / alpha) - (log delta + log alpha) / (alpha - 1), the least over the orders
    (Canonne, Kamath & Steinke, "The Discrete Gaussian for Differential Privacy", NeurIPS 2020, proposition 12).

    Raises:
        PrivacyParameterInvalid: delta out of range, or a vector of other orders.
    """
    if not 0 < delta < 1:
        raise PrivacyParameterInvalid(f"delta {delta:g}", expected="a number above 0 and below 1")
    if len(divergences) != len(ORDERS):
        raise PrivacyParameterInvalid(
            f"{len(divergences)} divergences", expected=f"one for each of {len(ORDERS)} orders"
        )
    if not any(divergences):
        return 0.0
    return max(0.0, min(d + plus - minus for d, (plus, minus) in zip(divergences, _terms(delta), strict=True)))


def require_provable(target: float, delta: float) -> None:
    """Refuse an epsilon that divergences at these orders prove for no noise, however much.

    Raises:
        PrivacyParameterInvalid: such an epsilon, or delta out of range.
    """
    least = epsilon((sys.float_info.min,) * len(ORDERS), delta)
    if target <= least:
        raise PrivacyParameterInvalid(
            f"epsilon {target:g} at delta {delta:g} with sampling of records",
            expected=f"more than {least:.6f}, which Renyi accounting cannot go below",
            action="Raise epsilon or delta, or let every record take part in every step (a sampling rate of 1).",
        )


def calibrated_noise(*, target: float, delta: float, sampling_rate: float, count: int) -> float:
    """The least noise multiplier, up to a millionth of itself, at which `count` steps cost at most epsilon `target`.

    Raises:
        PrivacyParameterInvalid: a value out of range.
    """
    if not 0 < target < math.inf:
        raise PrivacyParameterInvalid(f"epsilon {target:g}", expected="a positive finite number")
    if count < 1:
        raise PrivacyParameterInvalid(f"{count} steps", expected="at least one")
    require_provable(target, delta)

    def holds(noise: float) -> bool:
        return epsilon(steps(noise, sampling_rate, count), delta) <= target

    high = 1.0
    while not holds(high):
        high *= 2
    low = high / 2
    while holds(low) and low > 1e-3:
        high, low = low, low / 2
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@lru_cache(maxsize=16)
def _terms(delta: float) -> tuple[tuple[float, float], ...]:
    """At each of `ORDERS` what is added to the divergence, and what is taken from the sum."""
    return tuple((math.log1p(-1 / order), (math.log(delta) + math.log(order)) / (order - 1)) for order in ORDERS)


@lru_cache(maxsize=256)
def _step(sigma: float, q: float) -> tuple[float, ...]:
    if q == 1:
        return tuple(order / (2 * sigma**2) for order in ORDERS)
    whole = {order: _whole_order(int(order), sigma, q) for order in ORDERS if order.is_integer()}
    broken = [order for order in ORDERS if not order.is_integer()]
    if sigma >= _LEAST_INTEGRATED:
        logs = whole | dict(zip(broken, _broken_orders(np.array(broken), sigma, q), strict=True))
    else:
        logs = whole | {order: _between(order, whole) for order in broken}
    return tuple(_ROUNDED_UP * logs[order] / (order - 1) for order in ORDERS)


def _whole_order(order: int, sigma: float, q: float) -> float:
    """log (1 + sum_k binom(order, k) (1 - q)^(order - k) q^k (exp((k^2 - k) / (2 sigma^2)) - 1)).

    Section 3.3, where 1 is taken out of the sum: no term is negative, so a small divergence is as exact as a large one.
    """
    terms = []
    for k in range(2, order + 1):
        grows = (k * k - k) / (2 * sigma**2)
        weight = _log_binomial(order, k) + k * math.log(q) + (order - k) * math.log1p(-q)
        terms.append(weight + grows + math.log(-math.expm1(-grows)))
    return float(np.logaddexp(0.0, np.logaddexp.reduce(terms)))


def _broken_orders(orders: Float64, sigma: float, q: float) -> list[float]:
    """log A at orders between whole ones, by the trapezoidal rule over u = z / sigma.

    With w the likelihood ratio less 1, of which E[w] = 0, the excess A - 1 is E[(1 + w)^alpha - 1 - alpha w], and no
    value of that is negative. The integrand is analytic up to a distance of pi sigma from the real line and falls like
    a Gaussian, so at this width of steps the rule is exact to the last digits.
    """
    width = min(sigma, 1.0) / 3
    u = np.arange(-_TAIL, _TAIL + orders.max() / sigma, width)
    exponent = u / sigma - 1 / (2 * sigma**2)
    w = q * np.expm1(np.minimum(exponent, _LARGEST_EXPONENT))
    alpha = orders[:, None]
    power = alpha * np.logaddexp(math.log1p(-q), math.log(q) + exponent)
    with np.errstate(all="ignore"):  # each formula where the other one is taken
        series = alpha * (alpha - 1) / 2 * w**2 * (1 + (alpha - 2) * w / 3 * (1 + (alpha - 3) * w / 4))
        direct = power + np.log1p(-(1 + alpha * w) * np.exp(-power))
        log_excess = np.where(np.abs(alpha * w) < _SERIES_BELOW, np.log(series), direct)
    total = np.logaddexp.reduce(log_excess - u**2 / 2, axis=1) + math.log(width / math.sqrt(2 * math.pi))
    return list(np.logaddexp(0.0, total).tolist())


def _between(order: float, whole: Mapping[float, float]) -> float:
    """An upper bound of log A, which is convex in the order and 0 at order 1."""
    below, above = math.floor(order), math.ceil(order)
    part = order - below
    return (1 - part) * (whole[below] if below > 1 else 0.0) + part * whole[above]


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
