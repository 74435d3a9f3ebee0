"""A plan is what the start then does, says what it costs, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

import privacy.selectors
from federation.models import Organization
from federation.round_config import RoundConfig
from federation.services import campaigns, rounds
from federation.services.campaigns import outlook_on_campaign
from federation.services.round_plan import outlook_on_round, plan_round
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from tests.federation.conftest import Stored
from tests.support.federation import SimulatedFederation, config_of

pytestmark = pytest.mark.django_db
MODEL = "edge-normaliser"


@pytest.fixture
def pair(federation: SimulatedFederation, env: Callable[..., Env]) -> SimulatedFederation:
    env(privacy_mode="record", privacy_epsilon=1.0, training_rounds=4)
    federation.enrol("org-alpha", "org-beta")
    return federation


def facts(config: RoundConfig) -> bytes:
    """A configuration without the chance in its name."""
    return replace(config, round_id="").encode()


@pytest.mark.parametrize("model", ["edge-normaliser", "edge-classifier", "tgnn", "global"])
def test_the_start_does_what_the_plan_says(
    federation: SimulatedFederation, clock: ManualClock, stored: Stored, model: str
) -> None:
    federation.enrol("org-alpha", "org-beta")
    before = stored.count()
    plan = plan_round(model_name=model, timeout=77, clock=clock)
    assert stored.count() == before
    started = rounds.start_round(actor="operator", model_name=model, timeout=77, clock=clock)
    assert facts(plan.config) == facts(config_of(started))


def test_an_outlook_says_what_everybody_has_left(pair: SimulatedFederation, clock: ManualClock, stored: Stored) -> None:
    before = stored.count()
    outlook = outlook_on_round(model_name=MODEL, rounds=3, clock=clock)
    assert stored.count() == before
    assert outlook.refusal is None
    assert [each.org_id for each in outlook.forecasts] == ["org-alpha", "org-beta"]
    first = outlook.forecasts[0]
    assert first.used == 0
    assert 0 < first.after_one < first.after_all < first.total == 1.0
    assert not first.runs_out


def test_the_forecast_comes_true(pair: SimulatedFederation, clock: ManualClock) -> None:
    outlook = outlook_on_round(model_name=MODEL, clock=clock)
    rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    used = privacy.selectors.budget("org-alpha")["epsilon_used"]
    assert outlook.forecasts[0].after_one == outlook.forecasts[0].after_all == used


def test_who_cannot_pay_for_all_rounds_is_told_first(pair: SimulatedFederation, clock: ManualClock) -> None:
    rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
    pair.enrol("org-new")
    outlook = outlook_on_round(model_name="edge-classifier", rounds=4, clock=clock)
    lowest, *_, highest = outlook.forecasts
    assert (lowest.org_id, highest.org_id) == ("org-alpha", "org-new")
    assert lowest.rounds_left < highest.rounds_left
    assert lowest.after_all > highest.after_all


def test_an_exhausted_budget_is_refused_as_the_start_refuses_it(pair: SimulatedFederation, clock: ManualClock) -> None:
    choices: dict[str, Any] = {"model_name": MODEL, "privacy": {"epsilon_ppm": 1_000_000}}
    started = rounds.start_round(actor="operator", clock=clock, **choices)
    rounds.abort_round(round_id=started.round_id, actor="operator", reason="once", clock=clock)
    outlook = outlook_on_round(clock=clock, **choices)
    assert outlook.refusal is not None
    assert outlook.refusal.code == "budget_exhausted"
    assert all(each.runs_out for each in outlook.forecasts)
    with pytest.raises(type(outlook.refusal)) as raised:
        rounds.start_round(actor="operator", clock=clock, **choices)
    assert str(raised.value) == str(outlook.refusal)


@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ({"min_orgs": 9}, "too_few_organizations"),
        ({"privacy": {"mode": "none"}}, "privacy_required"),
        ({"timeout": 0}, "invalid_round_parameters"),
        ({"model_name": "rl-policy"}, "basis_missing"),
    ],
)
def test_a_choice_that_is_refused_has_no_plan(
    pair: SimulatedFederation, clock: ManualClock, env: Callable[..., Env], choices: dict[str, Any], code: str
) -> None:
    env(privacy_required=True)
    outlook = outlook_on_round(clock=clock, **({"model_name": MODEL} | choices))
    assert outlook.plan is None
    assert outlook.refusal is not None
    assert outlook.refusal.code == code


def test_rounds_without_noise_cost_nothing(
    federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env]
) -> None:
    env(privacy_mode="none", privacy_required=False)
    federation.enrol("org-alpha", "org-beta")
    outlook = outlook_on_round(model_name=MODEL, clock=clock)
    assert (outlook.refusal, outlook.forecasts) == (None, [])


def test_a_campaign_counts_all_its_rounds(pair: SimulatedFederation, clock: ManualClock) -> None:
    outlook = outlook_on_campaign(model_name=MODEL, rounds=100, clock=clock)
    assert outlook.refusal is None
    assert outlook.rounds == 100
    assert all(each.runs_out and each.after_one < each.total < each.after_all for each in outlook.forecasts)


def test_a_second_campaign_is_refused_before_the_click(pair: SimulatedFederation, clock: ManualClock) -> None:
    campaigns.start_campaign(actor="operator", model_name=MODEL, clock=clock)
    outlook = outlook_on_campaign(model_name=MODEL, clock=clock)
    assert outlook.refusal is not None
    assert outlook.refusal.code == "campaign_running"
    assert outlook_on_campaign(model_name=MODEL, rounds=0, clock=clock).plan is None


def test_a_thousand_organizations_cost_no_query_more(
    pair: SimulatedFederation, clock: ManualClock, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Organization.objects.bulk_create(
        Organization(org_id=f"zz-{number:04}", name="Zz", status=Organization.Status.ACTIVE) for number in range(1000)
    )
    with django_assert_max_num_queries(15):
        outlook = outlook_on_round(model_name=MODEL, rounds=3, clock=clock)
    assert len(outlook.forecasts) == 1002
