"""The noise of a round: from the settings, or the operator's choice within their bounds."""

from __future__ import annotations

from typing import Any

import pytest

from federation.errors import PrivacyRequired, RoundParametersInvalid
from federation.round_config import RoundConfig
from federation.services import campaigns, rounds
from flxdr.core.clock import ManualClock
from privacy.dp.accountant import epsilon_ppm
from privacy.errors import BudgetExhausted, MechanismUnavailable
from privacy.mechanism import SampledGaussian, parse
from privacy.models import BudgetEntry
from tests.federation.conftest import Stored
from tests.support.federation import SimulatedFederation, config_of

pytestmark = pytest.mark.django_db
CLASSIFIER = "edge-classifier"


def started_with(choice: dict[str, Any], clock: ManualClock) -> RoundConfig:
    """The configuration of a round with noise of its own."""
    return config_of(rounds.start_round(actor="operator", model_name=CLASSIFIER, privacy=choice, clock=clock))


def test_required_privacy_refuses_an_unprotected_round(
    pair: SimulatedFederation, clock: ManualClock, stored: Stored, env: Any
) -> None:
    env(privacy_required=True)
    before = stored.count()
    with pytest.raises(PrivacyRequired):
        rounds.start_round(actor="operator", clock=clock)
    assert stored.count() == before


def test_record_level_noise_is_refused_for_a_model_that_no_agent_trains(
    pair: SimulatedFederation, clock: ManualClock, stored: Stored, env: Any
) -> None:
    env(privacy_mode="record")
    before = stored.count()
    with pytest.raises(MechanismUnavailable):
        rounds.start_round(actor="operator", clock=clock)
    assert stored.count() == before


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("model", "steps", "sampling_ppm"), [("edge-classifier", 15, 200_000), ("edge-normaliser", 1, 1_000_000)]
)
def test_record_level_noise_follows_from_the_settings_and_the_model(
    clock: ManualClock, env: Any, model: str, steps: int, sampling_ppm: int
) -> None:
    env(privacy_mode="record", privacy_sampling_rate=0.2, privacy_required=True)
    started = rounds.start_round(actor="operator", model_name=model, local={"epochs": 3}, clock=clock)
    config = config_of(started)
    mechanism = parse(config.privacy)
    assert isinstance(mechanism, SampledGaussian)
    assert (mechanism.steps, mechanism.sampling_ppm) == (steps, sampling_ppm)
    assert config.clip_norm_ppm == 0
    assert BudgetEntry.objects.filter(kind="reserved").count() == len(config.participants)


def test_organization_level_noise_bounds_the_update_of_any_model(
    pair: SimulatedFederation, clock: ManualClock, env: Any
) -> None:
    env(privacy_mode="organization", privacy_clipping_norm=0.5)
    config = config_of(rounds.start_round(actor="operator", clock=clock))
    assert config.clip_norm_ppm == config.privacy["sensitivity_ppm"] == 500_000
    assert config.privacy["shares"] == 1


@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize("protection", ["plain", "secagg"])
@pytest.mark.parametrize("model", [CLASSIFIER, "edge-normaliser"])
@pytest.mark.parametrize("mode", ["none", "record", "organization"])
def test_every_mode_goes_with_every_protection(
    clock: ManualClock, env: Any, mode: str, model: str, protection: str
) -> None:
    env(privacy_mode=mode, privacy_clipping_norm=0.05)
    config = config_of(rounds.start_round(actor="operator", model_name=model, protection=protection, clock=clock))
    assert config.privacy.get("unit", "none") == mode
    shares = 3 if protection == "secagg" else 1  # only who sees sums alone can be given noise in shares
    assert config.privacy.get("shares") == (shares if mode == "organization" else None)
    assert (config.clip_norm_ppm > 0) == (mode == "organization")
    assert BudgetEntry.objects.count() == (0 if mode == "none" else 3)


@pytest.mark.usefixtures("trio")
@pytest.mark.parametrize("model", [CLASSIFIER, "edge-normaliser"])
@pytest.mark.parametrize("mode", ["record", "organization"])
def test_a_rounds_own_epsilon_is_what_it_alone_spends(clock: ManualClock, env: Any, mode: str, model: str) -> None:
    env(privacy_epsilon=2.0)
    choice = {"mode": mode, "epsilon_ppm": 700_000}
    config = config_of(rounds.start_round(actor="operator", model_name=model, privacy=choice, clock=clock))
    mechanism = parse(config.privacy)
    assert mechanism is not None
    assert config.privacy["unit"] == mode
    assert 690_000 < epsilon_ppm([mechanism.release], 1e-5) <= 700_000


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(("mode", "bounded"), [("record", 0), ("organization", 250_000)])
def test_a_rounds_own_clipping_norm_is_what_is_clipped_to(
    clock: ManualClock, env: Any, mode: str, bounded: int
) -> None:
    env(privacy_mode=mode)
    config = started_with({"clip_ppm": 250_000}, clock)
    assert (config.privacy["clip_ppm"], config.clip_norm_ppm) == (250_000, bounded)


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("required", "configured", "chosen"),
    [
        (False, "record", "none"),
        (False, "organization", "record"),
        (True, "none", "record"),
        (True, "record", "organization"),
    ],
)
def test_a_round_has_the_mode_that_was_chosen_for_it(
    clock: ManualClock, env: Any, required: bool, configured: str, chosen: str
) -> None:
    env(privacy_required=required, privacy_mode=configured)
    assert started_with({"mode": chosen}, clock).privacy.get("unit", "none") == chosen


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(("configured", "chosen"), [("none", "none"), ("record", "none"), ("organization", "record")])
def test_required_privacy_refuses_a_mode_that_protects_less(
    clock: ManualClock, env: Any, stored: Stored, configured: str, chosen: str
) -> None:
    env(privacy_required=True, privacy_mode=configured)
    before = stored.count()
    with pytest.raises(PrivacyRequired) as caught:
        started_with({"mode": chosen}, clock)
    assert caught.value.as_problem()["status"] == 409
    assert stored.count() == before


BEYOND_BOUNDS = [
    ({"mode": "tinfoil"}, "privacy.mode"),
    ({"mode": 1}, "privacy.mode"),
    ({"delta": 1}, "privacy.delta"),
    ({"epsilon_ppm": 2_000_001}, "privacy.epsilon_ppm"),
    ({"epsilon_ppm": 999}, "privacy.epsilon_ppm"),
    ({"epsilon_ppm": 1.5}, "privacy.epsilon_ppm"),
    ({"clip_ppm": 1_000_001}, "privacy.clip_ppm"),
    ({"clip_ppm": 0}, "privacy.clip_ppm"),
    ({"mode": "none", "epsilon_ppm": 1_000_000}, "privacy.epsilon_ppm"),
]


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(("choice", "field"), BEYOND_BOUNDS)
def test_choices_beyond_the_bounds_are_refused(
    clock: ManualClock, env: Any, stored: Stored, choice: dict[str, Any], field: str
) -> None:
    env(privacy_mode="record", privacy_epsilon=2.0)
    before = stored.count()
    with pytest.raises(RoundParametersInvalid) as caught:
        started_with(choice, clock)
    assert (caught.value.as_problem()["status"], caught.value.fields["field"]) == (422, field)
    assert stored.count() == before


@pytest.mark.usefixtures("pair")
def test_the_bound_of_moments_cannot_be_chosen(clock: ManualClock) -> None:
    choice = {"mode": "record", "clip_ppm": 500_000}
    with pytest.raises(RoundParametersInvalid, match="no use"):
        rounds.start_round(actor="operator", model_name="edge-normaliser", privacy=choice, clock=clock)


@pytest.mark.usefixtures("pair")
def test_what_is_left_of_the_budget_bounds_a_rounds_own_epsilon(
    federation: SimulatedFederation, clock: ManualClock, env: Any
) -> None:
    env(privacy_mode="record")
    choice = {"epsilon_ppm": 800_000}
    first = rounds.start_round(actor="operator", model_name=CLASSIFIER, privacy=choice, clock=clock)
    rounds.abort_round(round_id=first.round_id, actor="operator", reason="its noise may be out", clock=clock)
    with pytest.raises(BudgetExhausted):
        rounds.start_round(actor="operator", model_name=CLASSIFIER, privacy=choice, clock=clock)


@pytest.mark.usefixtures("pair")
def test_every_round_of_a_campaign_gets_its_noise(clock: ManualClock) -> None:
    choice = {"privacy": {"mode": "record", "epsilon_ppm": 100_000}}
    campaign = campaigns.start_campaign(actor="operator", model_name=CLASSIFIER, parameters=choice, clock=clock)
    assert config_of(campaign.rounds.get()).privacy["unit"] == "record"
