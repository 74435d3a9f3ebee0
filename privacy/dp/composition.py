"""What several Gaussian releases cost together, exactly.

A Gaussian release of sensitivity Delta and noise sigma is mu-GDP with mu = Delta/sigma, and releases compose as
mu^2 = sum(Delta_i^2 / sigma_i^2): T releases at sigma are one at sigma/sqrt(T) (Dong, Roth & Su, "Gaussian
Differential Privacy", JRSS-B 2022, corollary 3.3). So a budget adds up mu^2, which is additive, and never epsilon,
which is not. Exact for full participation (q = 1); sampled releases need another accountant. Epsilon is in millionths,
rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from privacy.dp.calibration import analytic_epsilon, analytic_sigma, classic_sigma
from privacy.errors import PrivacyParameterInvalid

PPM = 1_000_000
CALIBRATIONS = {"analytic": analytic_sigma, "classic": classic_sigma}


def squared_mu(sensitivity_ppm: int, sigma_ppm: int) -> float:
    """(Delta/sigma)^2 of one release; both in millionths of the same unit."""
    return (sensitivity_ppm / sigma_ppm) ** 2


def total(squares: Iterable[float]) -> float:
    """The sum of mu^2, correctly rounded, so that the order of releases does not matter."""
    return math.fsum(squares)


def epsilon_ppm(mu_squared: float, delta: float) -> int:
    """The epsilon at `delta` of releases whose mu^2 add up to `mu_squared`, in millionths, rounded up."""
    if mu_squared == 0:
        return 0
    return math.ceil(analytic_epsilon(1 / math.sqrt(mu_squared), delta) * PPM)


def calibrated_sigma_ppm(
    *, budget_ppm: int, delta: float, sensitivity_ppm: int, rounds: int, calibration: str = "analytic"
) -> int:
    """The noise, in millionths, at which `rounds` releases spend at most the budget; the least such one for `analytic`.

    Raises:
        PrivacyParameterInvalid: no such calibration, `classic` above epsilon 1, or a value out of range.
    """
    if calibration not in CALIBRATIONS:
        raise PrivacyParameterInvalid(f"calibration {calibration!r}", expected=" | ".join(CALIBRATIONS))
    if rounds < 1 or sensitivity_ppm < 1:
        raise PrivacyParameterInvalid(
            f"{rounds} rounds, sensitivity {sensitivity_ppm} ppm", expected="at least one of each"
        )
    single = CALIBRATIONS[calibration](budget_ppm / PPM, delta)
    sigma_ppm = math.ceil(single * math.sqrt(rounds) * sensitivity_ppm)
    while epsilon_ppm(rounds * squared_mu(sensitivity_ppm, sigma_ppm), delta) > budget_ppm:
        sigma_ppm += 1  # the last digit of the floating-point calibration
    return sigma_ppm
