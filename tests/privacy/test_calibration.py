"""Gaussian calibration against the published figures and against scipy's normal distribution."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_ndtr

from privacy.dp.calibration import analytic_delta, analytic_epsilon, analytic_sigma, classic_sigma
from privacy.dp.normal import log_cdf
from privacy.errors import PrivacyParameterInvalid

epsilons = st.floats(0.01, 50)
deltas = st.floats(-12, -1).map(lambda exponent: 10.0**exponent)


def test_the_published_values() -> None:
    classic = classic_sigma(1.0, 1e-5)
    assert classic == pytest.approx(4.844805, abs=1e-6)
    assert analytic_epsilon(classic, 1e-5) == pytest.approx(0.750977, abs=1e-6)
    assert analytic_sigma(1.0, 1e-5) == pytest.approx(3.730632, abs=1e-6)


@pytest.mark.parametrize("epsilon", [math.nextafter(1.0, 2.0), 1.5, 10.0])
def test_classic_is_refused_where_it_does_not_hold(epsilon: float) -> None:
    with pytest.raises(PrivacyParameterInvalid, match="analytic") as caught:
        classic_sigma(epsilon, 1e-5)
    assert caught.value.status == 422


@given(st.floats(-1e5, 37))
def test_log_cdf_agrees_with_scipy(x: float) -> None:
    assert log_cdf(x) == pytest.approx(float(log_ndtr(x)), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("x", [-30.0, math.nextafter(-30.0, -31.0), 0.0])
def test_log_cdf_has_no_step_where_the_formula_changes(x: float) -> None:
    assert log_cdf(x) == pytest.approx(float(log_ndtr(x)), rel=1e-13)


def exact_cdf(x: Decimal) -> Decimal:
    """Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...), Abramowitz & Stegun 26.2.11, in the context's precision."""
    term = series = x
    for k in range(1, 2000):
        term = term * x * x / (2 * k + 1)
        series += term
        if abs(term) < Decimal(10) ** -120:
            break
    pi = Decimal(
        "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798"
    )
    return Decimal("0.5") + (-x * x / 2).exp() / (2 * pi).sqrt() * series


@given(st.floats(0, 8), st.floats(0.06, 1000))
def test_delta_is_the_theorem_in_a_hundred_digits(shift: float, sigma: float) -> None:
    epsilon = shift / sigma
    with localcontext(prec=100):
        half, moved = 1 / (2 * Decimal(sigma)), Decimal(epsilon) * Decimal(sigma)
        exact = exact_cdf(half - moved) - Decimal(epsilon).exp() * exact_cdf(-half - moved)
    assert analytic_delta(epsilon, sigma) == pytest.approx(float(exact), rel=1e-9)


@given(epsilons, deltas, st.floats(0.01, 100))
def test_analytic_sigma_keeps_the_guarantee_and_no_less_noise_does(
    epsilon: float, delta: float, sensitivity: float
) -> None:
    sigma = analytic_sigma(epsilon, delta, sensitivity)
    assert analytic_delta(epsilon, sigma / sensitivity) <= delta * (1 + 1e-9)
    assert analytic_delta(epsilon, sigma / sensitivity * (1 - 1e-6)) > delta


@given(epsilons, deltas)
def test_epsilon_inverts_sigma(epsilon: float, delta: float) -> None:
    assert analytic_epsilon(analytic_sigma(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-7)


@given(st.floats(0.01, 1), deltas)
def test_analytic_never_needs_more_than_classic(epsilon: float, delta: float) -> None:
    assert analytic_sigma(epsilon, delta) <= classic_sigma(epsilon, delta)


@given(st.floats(0.01, 1), deltas, st.floats(0.001, 1000))
def test_noise_scales_with_sensitivity(epsilon: float, delta: float, sensitivity: float) -> None:
    for calibrate in (classic_sigma, analytic_sigma):
        assert calibrate(epsilon, delta, sensitivity) == pytest.approx(sensitivity * calibrate(epsilon, delta))


def test_noise_that_hides_everything_costs_nothing() -> None:
    assert analytic_epsilon(1e6, 1e-5) == 0.0


@pytest.mark.parametrize(
    ("scale", "delta", "sensitivity"),
    [
        *((scale, 1e-5, 1) for scale in (0, -1, math.nan, math.inf)),
        *((1, delta, 1) for delta in (0, 1, -1, math.nan)),
        *((1, 1e-5, sensitivity) for sensitivity in (0, -1, math.nan, math.inf)),
    ],
)
def test_parameters_out_of_range_are_refused(scale: float, delta: float, sensitivity: float) -> None:
    for formula in (classic_sigma, analytic_sigma, analytic_epsilon):
        with pytest.raises(PrivacyParameterInvalid):
            formula(scale, delta, sensitivity)
