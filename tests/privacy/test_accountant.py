"""Releases of the whole data and of samples, composed together."""

from __future__ import annotations

import math
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.dp import rdp
from privacy.dp.accountant import MOST_ROUNDS, Release, calibrated_multiplier_ppm, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM, calibrated_sigma_ppm
from privacy.dp.composition import epsilon_ppm as exact_epsilon_ppm
from privacy.errors import PrivacyParameterInvalid

DELTA = 1e-5
SAMPLED = Release(PPM, 4_000_000, 100_000, 10)


@pytest.mark.parametrize(
    ("sigma", "rate_ppm", "steps", "delta", "published"),
    [
        (1.0, 10_000, 1000, 1e-5, 2.101367),
        (1.1, 4_267, 14062, 1e-5, 2.596781),
        (4.0, 100_000, 100, 1e-5, 1.081702),
        (2.0, 50_000, 500, 1e-6, 3.101868),
    ],
)
def test_sampled_releases_cost_what_is_published_however_they_are_split(
    sigma: float, rate_ppm: int, steps: int, delta: float, published: float
) -> None:
    once = Release(PPM, int(sigma * PPM), rate_ppm, steps)
    split = [Release(PPM, int(sigma * PPM), rate_ppm, part) for part in (1, 1, steps - 2)]
    assert epsilon_ppm([once], delta) / PPM == pytest.approx(published, abs=2e-6)
    assert epsilon_ppm(split, delta) == pytest.approx(epsilon_ppm([once], delta), abs=1)


def test_releases_of_everything_compose_exactly_and_mixed_ones_order_by_order() -> None:
    whole = Release(PPM, 10 * PPM)
    assert epsilon_ppm([whole] * 50, DELTA) / PPM == pytest.approx(2.943225, abs=2e-6)
    mixed = rdp.composed([rdp.steps(10.0, 1.0, 1), rdp.steps(4.0, 0.1, 10)])
    assert epsilon_ppm([whole, SAMPLED], DELTA) == math.ceil(rdp.epsilon(mixed, DELTA) * PPM)
    assert epsilon_ppm([whole, SAMPLED], DELTA) > max(epsilon_ppm([whole], DELTA), epsilon_ppm([SAMPLED], DELTA))


def test_the_unit_of_sensitivity_and_noise_cancels() -> None:
    assert epsilon_ppm([Release(3 * PPM, 12 * PPM, 100_000, 10)], DELTA) == epsilon_ppm([SAMPLED], DELTA)


def test_nothing_released_nothing_spent() -> None:
    assert epsilon_ppm([], DELTA) == 0


@settings(deadline=None, max_examples=10)
@given(st.integers(100_000, 8 * PPM), st.integers(20_000, PPM), st.integers(1, 60), st.integers(1, 20))
def test_calibrated_rounds_fit_the_budget_and_one_more_does_not(
    budget_ppm: int, sampling_ppm: int, steps: int, rounds: int
) -> None:
    multiplier = calibrated_multiplier_ppm(
        budget_ppm=budget_ppm, delta=DELTA, sampling_ppm=sampling_ppm, steps=rounds * steps
    )
    per_round = Release(PPM, multiplier, sampling_ppm, steps)
    assert rounds_until_exhausted(spent=(), per_round=per_round, budget_ppm=budget_ppm, delta=DELTA) == rounds


def test_calibration_leaves_room_for_what_is_beside() -> None:
    other = Release(PPM, 10 * PPM)
    with_other, alone = (
        calibrated_multiplier_ppm(budget_ppm=PPM, delta=DELTA, sampling_ppm=100_000, steps=100, beside=beside)
        for beside in ((other,), ())
    )
    assert with_other > alone
    assert 0.9999 * PPM < epsilon_ppm([other, Release(PPM, with_other, 100_000, 100)], DELTA) <= PPM
    with pytest.raises(PrivacyParameterInvalid, match="left"):
        calibrated_multiplier_ppm(budget_ppm=PPM, delta=DELTA, sampling_ppm=PPM, steps=1, beside=(Release(PPM, PPM),))


@given(st.integers(0, 10), st.integers(5 * PPM, 90 * PPM), st.integers(10_000, 3 * PPM))
def test_rounds_left_is_the_last_number_that_fits(used: int, sigma_ppm: int, budget_ppm: int) -> None:
    spent, per_round = [Release(PPM, 20 * PPM)] * used, Release(PPM, sigma_ppm)
    rounds = rounds_until_exhausted(spent=spent, per_round=per_round, budget_ppm=budget_ppm, delta=DELTA)
    assert rounds == 0 or epsilon_ppm([*spent, *[per_round] * rounds], DELTA) <= budget_ppm
    assert epsilon_ppm([*spent, *[per_round] * (rounds + 1)], DELTA) > budget_ppm


@pytest.mark.parametrize("sampling_ppm", [1, 500_000])
def test_rounds_that_cost_next_to_nothing_are_counted_up_to_a_bound(sampling_ppm: int) -> None:
    per_round = Release(PPM, 2**53 - 1, sampling_ppm)
    assert rounds_until_exhausted(spent=(), per_round=per_round, budget_ppm=PPM, delta=DELTA) == MOST_ROUNDS


def test_a_budget_that_no_noise_keeps_is_refused_and_not_searched_for() -> None:
    calibrated = partial(calibrated_multiplier_ppm, budget_ppm=3000, delta=DELTA, steps=10)
    with pytest.raises(PrivacyParameterInvalid, match="sampling"):
        calibrated(sampling_ppm=500_000)
    assert epsilon_ppm([Release(PPM, calibrated(sampling_ppm=PPM), steps=10)], DELTA) <= 3000


def test_division_would_promise_another_number() -> None:
    sigma_ppm = calibrated_sigma_ppm(budget_ppm=PPM, delta=DELTA, sensitivity_ppm=PPM, rounds=40)
    per_round = Release(PPM, sigma_ppm)
    assert PPM // exact_epsilon_ppm((PPM / sigma_ppm) ** 2, DELTA) != 40
    assert rounds_until_exhausted(spent=(), per_round=per_round, budget_ppm=PPM, delta=DELTA) == 40


@pytest.mark.parametrize("wrong", [{"sampling_ppm": 0}, {"sampling_ppm": PPM + 1}, {"steps": 0}, {"budget_ppm": 0}])
def test_calibration_refuses_what_it_cannot_do(wrong: dict[str, int]) -> None:
    right = {"budget_ppm": PPM, "sampling_ppm": 100_000, "steps": 10}
    with pytest.raises(PrivacyParameterInvalid):
        calibrated_multiplier_ppm(delta=DELTA, **(right | wrong))
