"""How much Gaussian noise a guarantee of (epsilon, delta) needs.

The Gaussian mechanism adds N(0, sigma^2) to every coordinate of a value of L2 sensitivity Delta. It is (epsilon, delta)
differentially private exactly when

    delta >= Phi(Delta/(2 sigma) - epsilon sigma/Delta) - e^epsilon Phi(-Delta/(2 sigma) - epsilon sigma/Delta)

(Balle & Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018, theorem 8). Adjacency is
add/remove: an absent contribution counts as zero. Found by bisection down to neighbouring floats, of which the larger
is returned. Rounding errors of the two logarithms leave delta accurate to about 1e-9 of itself, epsilon far better;
callers round up once more to the digits that they keep.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from privacy.dp.normal import log_cdf
from privacy.errors import PrivacyParameterInvalid

CLASSIC_LIMIT = 1.0


def classic_sigma(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """sqrt(2 ln(1.25/delta)) Delta / epsilon (Dwork & Roth 2014, theorem A.1), which holds up to epsilon 1.

    Raises:
        PrivacyParameterInvalid: epsilon above 1, where the formula promises what it does not keep.
    """
    _require(epsilon, delta, sensitivity)
    if epsilon > CLASSIC_LIMIT:
        raise PrivacyParameterInvalid(
            f"the classic calibration is not valid for epsilon {epsilon:g}",
            expected=f"epsilon of at most {CLASSIC_LIMIT:g}",
            action="Choose the analytic calibration (FL_PRIVACY_CALIBRATION=analytic), which holds for every epsilon.",
        )
    return math.sqrt(2 * math.log(1.25 / delta)) * sensitivity / epsilon


def analytic_sigma(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """The smallest sigma that gives (epsilon, delta)."""
    _require(epsilon, delta, sensitivity)
    return sensitivity * _smallest(lambda sigma: analytic_delta(epsilon, sigma) <= delta)


def analytic_epsilon(sigma: float, delta: float, sensitivity: float = 1.0) -> float:
    """The smallest epsilon that noise of `sigma` gives at `delta`; 0 where the noise hides everything."""
    _require(sigma, delta, sensitivity)
    noise = sigma / sensitivity
    if analytic_delta(0.0, noise) <= delta:
        return 0.0
    return _smallest(lambda epsilon: analytic_delta(epsilon, noise) <= delta)


def analytic_delta(epsilon: float, sigma: float) -> float:
    """The smallest delta at `epsilon`, for sensitivity 1."""
    half, shift = 1 / (2 * sigma), epsilon * sigma
    first = log_cdf(half - shift)
    second = epsilon + log_cdf(-half - shift)
    return max(0.0, -math.exp(first) * math.expm1(min(0.0, second - first)))


def _smallest(holds: Callable[[float], bool]) -> float:
    """The smallest positive float for which a condition holds that, once it holds, holds for all larger ones."""
    high = 1.0
    while not holds(high):
        high *= 2
    low = high / 2
    while holds(low):
        high, low = low, low / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _require(scale: float, delta: float, sensitivity: float) -> None:
    """Refuse what no formula here is made for (`scale` is epsilon or sigma)."""
    if not (0 < scale < math.inf and 0 < sensitivity < math.inf):
        raise PrivacyParameterInvalid(
            f"epsilon or sigma {scale:g}, sensitivity {sensitivity:g}", expected="positive finite numbers"
        )
    if not 0 < delta < 1:
        raise PrivacyParameterInvalid(f"delta {delta:g}", expected="a number above 0 and below 1")
