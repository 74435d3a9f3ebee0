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
from collections.abc import Callable, Sequence
from functools import lru_cache

from privacy.dp.normal import log_cdf
from privacy.errors import PrivacyParameterInvalid

ORDERS: tuple[float, ...] = (
    *(1 + tenth / 10 for tenth in range(1, 100)),
    *map(float, range(11, 64)),
    128.0,
    256.0,
    512.0,
    1024.0,
)
"""The orders at which divergences are kept: those of dp-accounting, so that figures can be compared."""

_NEGLIGIBLE = -30.0


def step(noise_multiplier: float, sampling_rate: float) -> tuple[float, ...]:
    """The divergences of one step, at `ORDERS`.

    Args:
        noise_multiplier: sigma, in units of the clipping norm.
        sampling_rate: q, the probability of each record to be drawn.

    Raises:
        PrivacyParameterInvalid: a value out of range.
    """
    if not 0 < noise_multiplier < math.inf:
        raise PrivacyParameterInvalid(f"noise multiplier {noise_multiplier:g}", expected="a positive finite number")
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
    return max(0.0, min(map(_epsilon_of(delta), ORDERS, divergences)))


def calibrated_noise(*, target: float, delta: float, sampling_rate: float, count: int) -> float:
    """The least noise multiplier, up to a millionth of itself, at which `count` steps cost at most epsilon `target`.

    Raises:
        PrivacyParameterInvalid: a value out of range.
    """
    if not 0 < target < math.inf:
        raise PrivacyParameterInvalid(f"epsilon {target:g}", expected="a positive finite number")
    if count < 1:
        raise PrivacyParameterInvalid(f"{count} steps", expected="at least one")

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


def _epsilon_of(delta: float) -> Callable[[float, float], float]:
    def at(order: float, divergence: float) -> float:
        return divergence + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)

    return at


@lru_cache(maxsize=256)
def _step(sigma: float, q: float) -> tuple[float, ...]:
    if q == 1:
        return tuple(order / (2 * sigma**2) for order in ORDERS)
    return tuple(
        (_log_a_integer(int(order), sigma, q) if order.is_integer() else _log_a_fraction(order, sigma, q)) / (order - 1)
        for order in ORDERS
    )


def _log_a_integer(order: int, sigma: float, q: float) -> float:
    """log sum_k binom(order, k) (1 - q)^(order - k) q^k exp((k^2 - k) / (2 sigma^2)): section 3.3."""
    terms = [
        _log_binomial(order, k) + k * math.log(q) + (order - k) * math.log1p(-q) + (k * k - k) / (2 * sigma**2)
        for k in range(order + 1)
    ]
    return _log_sum(terms)


def _log_a_fraction(order: float, sigma: float, q: float) -> float:
    """The two series of section 3.3, split at the point where both parts of the mixture weigh the same.

    Their terms alternate in sign beyond k > order and fall fast; summing ends when what follows is negligible.
    """
    split = sigma**2 * math.log(1 / q - 1) + 0.5
    positive: list[float] = []
    negative: list[float] = []
    sign, log_binomial = 1.0, 0.0
    k = 0
    while True:
        rest = order - k
        first = log_binomial + k * math.log(q) + rest * math.log1p(-q) + (k * k - k) / (2 * sigma**2)
        first += log_cdf((split - k) / sigma)
        second = log_binomial + rest * math.log(q) + k * math.log1p(-q) + (rest * rest - rest) / (2 * sigma**2)
        second += log_cdf((rest - split) / sigma)
        (positive if sign > 0 else negative).extend((first, second))
        if k > order and max(first, second) < _NEGLIGIBLE:
            break
        sign = -sign if rest < 0 else sign
        log_binomial += math.log(abs(rest)) - math.log(k + 1)
        k += 1
    total, subtracted = _log_sum(positive), _log_sum(negative) if negative else -math.inf
    return total + math.log1p(-math.exp(subtracted - total))


def _log_binomial(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_sum(terms: Sequence[float]) -> float:
    """log sum exp, without overflow."""
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))
