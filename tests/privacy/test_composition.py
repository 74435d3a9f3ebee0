"""Exact composition of full-batch Gaussian releases."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.dp.calibration import analytic_delta, analytic_epsilon, classic_sigma
from privacy.dp.composition import (
    PPM,
    calibrated_sigma_ppm,
    epsilon_ppm,
    squared_mu,
    total,
)
from privacy.errors import PrivacyParameterInvalid

DELTA = 1e-5


@pytest.mark.parametrize(("rounds", "epsilon"), [(1, 0.750977), (10, 2.688362), (50, 6.824628), (100, 10.393882)])
def test_the_published_compositions(rounds: int, epsilon: float) -> None:
    sigma = classic_sigma(1.0, DELTA)
    assert analytic_epsilon(sigma / math.sqrt(rounds), DELTA) == pytest.approx(epsilon, abs=1e-6)
    assert epsilon_ppm(total([1 / sigma**2] * rounds), DELTA) / PPM == pytest.approx(epsilon, abs=2e-6)


@given(st.lists(st.floats(0.5, 100), min_size=1, max_size=30), st.floats(-10, -2))
def test_epsilon_is_rounded_up_and_never_by_more_than_a_millionth(sigmas: list[float], exponent: float) -> None:
    delta = 10.0**exponent
    squares = total(1 / sigma**2 for sigma in sigmas)
    epsilon = epsilon_ppm(squares, delta)
    noise = 1 / math.sqrt(squares)
    assert analytic_delta(epsilon / PPM, noise) <= delta * (1 + 1e-9)
    assert epsilon == 0 or analytic_delta((epsilon - 1) / PPM, noise) > delta * (1 - 1e-9)


@given(st.lists(st.floats(0.5, 100), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_releases_does_not_matter(sigmas: list[float], random: object) -> None:
    squares = [1 / sigma**2 for sigma in sigmas]
    before = total(squares)
    random.shuffle(squares)  # type: ignore[attr-defined]
    assert total(squares) == before


def test_unequal_releases_add_their_squares() -> None:
    """One release at sigma 1 and three at sigma 2 of sensitivity 2 are four at sigma 1, are one at sigma 1/2."""
    squares = [squared_mu(PPM, PPM)] + [squared_mu(2 * PPM, 2 * PPM)] * 3
    assert epsilon_ppm(total(squares), DELTA) == math.ceil(analytic_epsilon(0.5, DELTA) * PPM)


def test_nothing_released_nothing_spent() -> None:
    assert epsilon_ppm(0.0, DELTA) == 0


@given(
    st.integers(10_000, 5 * PPM),
    st.integers(1, 200),
    st.integers(1, 10 * PPM),
    st.floats(-10, -3),
    st.sampled_from(("analytic", "classic")),
)
def test_calibrated_rounds_fit_the_budget(
    budget_ppm: int, rounds: int, sensitivity_ppm: int, exponent: float, calibration: str
) -> None:
    if calibration == "classic":
        budget_ppm = min(budget_ppm, PPM)
    delta = 10.0**exponent
    sigma_ppm = calibrated_sigma_ppm(
        budget_ppm=budget_ppm,
        delta=delta,
        sensitivity_ppm=sensitivity_ppm,
        rounds=rounds,
        calibration=calibration,
    )
    per_round = squared_mu(sensitivity_ppm, sigma_ppm)
    assert epsilon_ppm(rounds * per_round, delta) <= budget_ppm
    if calibration == "analytic" and sensitivity_ppm >= 1000:
        assert epsilon_ppm((rounds + 1) * per_round, delta) > budget_ppm


@pytest.mark.parametrize(
    "wrong",
    [
        {"calibration": "guess"},
        {"calibration": "classic", "budget_ppm": PPM + 1},
        {"rounds": 0},
        {"sensitivity_ppm": 0},
        {"budget_ppm": 0},
        {"delta": 0.0},
    ],
)
def test_calibration_refuses_what_it_cannot_do(wrong: dict[str, object]) -> None:
    right = {"budget_ppm": PPM, "delta": DELTA, "sensitivity_ppm": PPM, "rounds": 10, "calibration": "analytic"}
    calibrated_sigma_ppm(**right)  # type: ignore[arg-type]
    with pytest.raises(PrivacyParameterInvalid):
        calibrated_sigma_ppm(**(right | wrong))  # type: ignore[arg-type]
