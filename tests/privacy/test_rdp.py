"""The accountant of sampled Gaussian steps against published figures, against the integral, and against itself."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from federation.agent.commands.app import app
from privacy.dp import rdp
from privacy.dp.calibration import analytic_epsilon
from privacy.errors import PrivacyParameterInvalid

# noise multiplier, sampling rate, steps, delta; then epsilon by dp-accounting: Renyi, privacy loss distributions
FIGURES: list[tuple[float, float, int, float, float, float]] = [
    (1.0, 0.01, 1000, 1e-5, 2.101367, 1.828237),
    (1.1, 0.004267, 14062, 1e-5, 2.596781, 2.381809),
    (4.0, 0.1, 100, 1e-5, 1.081702, 0.982852),
    (2.0, 0.05, 500, 1e-6, 3.101868, 2.872626),
    (5.0, 1.0, 20, 1e-6, 4.604529, 4.305841),
    (10.0, 1.0, 50, 1e-5, 3.188992, 2.943225),
]
NOISE = st.floats(0.5, 20)
RATE = st.floats(1e-4, 1)


def by_integration(order: float, sigma: float, q: float) -> float:
    """Renyi divergence of one step, from its definition: E[(M^a - 1 - a (M - 1))] + 1, as E[M] = 1."""
    z = np.linspace(-40 * sigma, 40 * sigma + 2 * order, 2_000_001)
    log_m = (
        np.logaddexp(math.log1p(-q), math.log(q) + (2 * z - 1) / (2 * sigma**2))
        if q < 1
        else ((2 * z - 1) / (2 * sigma**2))
    )
    density = np.exp(-(z**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    excess = (np.expm1(order * log_m) - order * np.expm1(log_m)) * density
    return math.log1p(float(excess.sum() * (z[1] - z[0]))) / (order - 1)


@pytest.mark.parametrize("figures", FIGURES, ids=str)
def test_published_figures(figures: tuple[float, float, int, float, float, float]) -> None:
    sigma, q, steps, delta, renyi, exact = figures
    found = rdp.epsilon(rdp.steps(sigma, q, steps), delta)
    assert found == pytest.approx(renyi, abs=2e-6)
    assert exact < found


@pytest.mark.parametrize(("sigma", "q"), [(1.0, 0.01), (4.0, 0.1), (2.0, 0.5), (8.0, 1.0)])
@pytest.mark.parametrize("order", [1.1, 1.5, 2.3, 5.7, 9.9, 11.0, 12.0])
def test_divergences_are_the_integral(sigma: float, q: float, order: float) -> None:
    found = rdp.step(sigma, q)[rdp.ORDERS.index(order)]
    assert found == pytest.approx(by_integration(order, sigma, q), rel=1e-6)


@pytest.mark.parametrize("sigma", [1.0, 20.0, 1000.0])
@pytest.mark.parametrize("order", [1.1, 2.0, 2.3, 10.9, 12.0])
def test_a_divergence_far_below_one_is_not_rounded_away(sigma: float, order: float) -> None:
    q = 1e-6  # to leading order, E[(M^a - 1 - a (M - 1))] is a (a - 1) / 2 q^2 (e^(1 / sigma^2) - 1)
    found = rdp.step(sigma, q)[rdp.ORDERS.index(order)]
    leading = order / 2 * q**2 * math.expm1(1 / sigma**2)
    assert found == pytest.approx(leading, rel=1e-3, abs=0)


def test_very_many_steps_are_not_rounded_away() -> None:
    sigma, q, steps = 562_769.0, 0.01, 10**18  # together nearly Gaussian, of mu = q sqrt(steps) / sigma
    assert rdp.epsilon(rdp.steps(sigma, q, steps), 1e-5) > analytic_epsilon(sigma / (q * math.sqrt(steps)), 1e-5)


@pytest.mark.parametrize("sigma", [0.001, 0.02, 0.099, 0.101, 0.3])
@pytest.mark.parametrize("q", [0.01, 0.5])
def test_little_noise_is_never_made_to_look_like_more(sigma: float, q: float) -> None:
    found = dict(zip(rdp.ORDERS, rdp.step(sigma, q), strict=True))
    for order, divergence in found.items():  # of the sum's largest term, and of the same without sampling
        if order.is_integer():
            assert divergence >= (order * math.log(q) + (order**2 - order) / (2 * sigma**2)) / (order - 1)
            assert divergence <= order / (2 * sigma**2) * (1 + 1e-8)
    assert all(above >= below * (1 - 1e-12) for below, above in pairwise(found.values()))


@given(NOISE, RATE, st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_more_noise_fewer_records_and_fewer_steps_cost_less(sigma: float, q: float, steps: int) -> None:
    spent = rdp.epsilon(rdp.steps(sigma, q, steps), 1e-5)
    assert rdp.epsilon(rdp.steps(sigma * 1.5, q, steps), 1e-5) <= spent
    assert rdp.epsilon(rdp.steps(sigma, q / 2, steps), 1e-5) <= spent
    assert rdp.epsilon(rdp.steps(sigma, q, steps + 1), 1e-5) >= spent
    assert rdp.epsilon(rdp.steps(sigma, q, steps), 1e-6) >= spent


@given(NOISE, st.integers(1, 100))
@settings(max_examples=50, deadline=None)
def test_without_sampling_it_is_above_the_exact_composition(sigma: float, steps: int) -> None:
    exact = analytic_epsilon(sigma / math.sqrt(steps), 1e-5)
    assert exact <= rdp.epsilon(rdp.steps(sigma, 1.0, steps), 1e-5)


def test_divergences_add_up_and_epsilons_do_not() -> None:
    one, two = rdp.steps(2.0, 0.05, 300), rdp.steps(2.0, 0.05, 200)
    both = rdp.composed([one, two])
    assert both == pytest.approx(rdp.steps(2.0, 0.05, 500))
    assert rdp.composed([two, one]) == both
    assert rdp.epsilon(both, 1e-6) < rdp.epsilon(one, 1e-6) + rdp.epsilon(two, 1e-6)
    assert rdp.epsilon(rdp.composed([]), 1e-6) == 0.0
    assert rdp.epsilon(rdp.steps(2.0, 0.05, 0), 1e-6) == 0.0


@given(st.floats(0.1, 20), RATE, st.integers(1, 2000))
@settings(max_examples=25, deadline=None)
def test_calibrated_noise_is_enough_and_hardly_more(target: float, q: float, steps: int) -> None:
    noise = rdp.calibrated_noise(target=target, delta=1e-5, sampling_rate=q, count=steps)
    assert rdp.epsilon(rdp.steps(noise, q, steps), 1e-5) <= target
    assert rdp.epsilon(rdp.steps(noise * 0.999, q, steps), 1e-5) > target


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: rdp.steps(0.0, 0.1, 1),
        lambda: rdp.steps(math.nan, 0.1, 1),
        lambda: rdp.steps(1.0, 0.0, 1),
        lambda: rdp.steps(1.0, 1.1, 1),
        lambda: rdp.steps(1.0, 0.1, -1),
        lambda: rdp.epsilon(rdp.steps(1.0, 0.1, 1), 0.0),
        lambda: rdp.epsilon(rdp.steps(1.0, 0.1, 1), 1.0),
        lambda: rdp.epsilon([1.0], 0.1),
        lambda: rdp.calibrated_noise(target=0.0, delta=1e-5, sampling_rate=0.1, count=1),
        lambda: rdp.calibrated_noise(target=1.0, delta=1e-5, sampling_rate=0.1, count=0),
        lambda: rdp.calibrated_noise(target=0.003, delta=1e-5, sampling_rate=0.1, count=10),
        lambda: rdp.steps(1e300, 0.1, 1),
        lambda: rdp.steps(1e-300, 0.1, 1),
    ],
)
def test_what_no_formula_is_made_for_is_refused(wrong: Any) -> None:
    with pytest.raises(PrivacyParameterInvalid):
        wrong()


TRAINING = ["--sampling-rate", "0.05", "--steps", "500", "--delta", "1e-6", "--json"]


def test_commands() -> None:
    run = CliRunner().invoke
    answer = json.loads(run(app, ["privacy", "epsilon", "--noise-multiplier", "2", *TRAINING]).stdout)
    assert 3.101868 <= answer["epsilon"] <= 3.101869
    answer = json.loads(run(app, ["privacy", "calibrate", "--epsilon", "3.101869", *TRAINING]).stdout)
    assert answer["noise_multiplier"] == pytest.approx(2.0, abs=2e-6)
    assert answer["epsilon"] <= 3.101869
    for wrong in (
        ["epsilon", "--noise-multiplier", "-1"],
        ["epsilon", "--noise-multiplier", "1e300"],
        ["calibrate", "--epsilon", "0.001"],
    ):
        refused = run(app, ["privacy", *wrong, *TRAINING])
        assert refused.exit_code == 1
        assert json.loads(refused.stdout)["error"]["code"] == PrivacyParameterInvalid.code
    endless = ["--sampling-rate", "0.05", "--steps", str(10**30), "--delta", "1e-6"]
    assert run(app, ["privacy", "epsilon", "--noise-multiplier", "2", *endless]).exit_code == 2
