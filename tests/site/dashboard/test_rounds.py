"""The list of rounds, two of them side by side, and the start of a round or a campaign with its consequences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import Campaign, ConfirmationRequest, Organization, TrainingRound
from federation.services import campaigns, rounds
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.env import Env
from tests.federation.closed_rounds import MODEL, collected
from tests.federation.conftest import Stored, clock, federation, stored
from tests.support.federation import SimulatedFederation

__all__ = ["clock", "federation", "stored"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("kim"))
    return client


@pytest.fixture
def viewer() -> Client:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


@pytest.fixture
def present(db: None, env: Callable[..., Env]) -> SimulatedFederation:
    """Two organisations at the machine's time, which the pages start rounds at; rounds with noise."""
    env(privacy_mode="record", privacy_epsilon=1.0, training_rounds=4)
    here = SimulatedFederation(SystemClock())
    here.enrol("org-alpha", "org-beta")
    return here


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def choices(**values: Any) -> dict[str, Any]:
    return {"model_name": "edge-normaliser"} | values


def test_an_empty_list_says_what_would_be_there(operator: Client) -> None:
    page = text(operator.get("/rounds/"))
    assert "Rounds appear here as soon as an operator starts one" in page
    assert "Running campaigns" not in page


def test_the_list_leads_to_the_starts_for_those_who_may(operator: Client, viewer: Client) -> None:
    assert "/rounds/start" in text(operator.get("/rounds/"))
    assert "/rounds/start" not in text(viewer.get("/rounds/"))


@pytest.mark.parametrize(
    "query", ["page=abc", "from=2026-99-99", "status=nothing", "model=%00", "page=99999999999999999", "from=9999-12-31"]
)
def test_garbage_in_the_address_is_an_empty_list_or_the_whole(operator: Client, query: str) -> None:
    text(operator.get(f"/rounds/?{query}"))


def test_the_list_costs_no_query_more_for_more_rounds(
    operator: Client,
    federation: SimulatedFederation,
    clock: ManualClock,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    done = collected(federation, clock)
    TrainingRound.objects.bulk_create(
        TrainingRound(
            round_id=f"old-{number}",
            number=1000 + number,
            model_name=MODEL,
            status="completed",
            config=done.config,
            config_hash=done.config_hash,
            aggregation_method="FedAvg",
            protection="plain",
            min_orgs=2,
            deadline=clock.now(),
        )
        for number in range(300)
    )
    with django_assert_max_num_queries(14):
        page = text(operator.get("/rounds/?page=2"))
    assert "51 to 100 of 301" in page


def test_a_campaign_shows_its_progress_and_is_aborted_by_two(operator: Client, present: SimulatedFederation) -> None:
    campaign = campaigns.start_campaign(actor="operator", model_name="edge-normaliser", rounds=3, clock=SystemClock())
    page = text(operator.get("/rounds/"))
    assert "0 of 3 rounds" in page
    assert campaign.rounds.get().round_id in page
    page = text(operator.post(f"/rounds/campaigns/{campaign.pk}/abort", {"reason": "wrong data"}, follow=True))
    assert "until a second operator confirms it" in page
    request = ConfirmationRequest.objects.get()
    assert (request.action, request.subject) == ("abort_campaign", str(campaign.pk))
    assert operator.post("/rounds/campaigns/999/abort", {"reason": "x"}).status_code == 404


def test_two_rounds_differ_where_they_differ(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    first = collected(federation, clock, aggregation_method="FedAvg", min_orgs=3)
    federation.settle()
    clock.advance(timedelta(minutes=1))
    Organization.objects.create(org_id="org-new", name="<b>New</b>", status=Organization.Status.ACTIVE)
    second = rounds.start_round(
        actor="operator", model_name=MODEL, aggregation_method="FedAvg", min_orgs=4, clock=clock
    )
    page = text(operator.get(f"/rounds/compare?a={first.round_id}&b={second.round_id}"))
    line = page.split('<th scope="row">min_orgs</th>')
    assert line[0].endswith('<tr class="differs"> ')
    assert line[1].startswith(" <td>3</td> <td>4</td> <td> differs </td>")
    same = page.split('<th scope="row">aggregation_method</th>')
    assert same[1].startswith(' <td>FedAvg</td> <td>FedAvg</td> <td> <span class="quiet">same</span>')
    assert "<dt>Only in B</dt> <dd> org-new </dd>" in page
    assert "<b>New</b>" not in page
    assert "+1" in page


def test_a_comparison_asks_for_its_rounds(
    operator: Client, federation: SimulatedFederation, clock: ManualClock
) -> None:
    assert "Two rounds are needed" in text(operator.get("/rounds/compare"))
    first = collected(federation, clock)
    page = text(operator.get(f"/rounds/compare?a={first.round_id}"))
    assert "Two rounds are needed" in page
    assert operator.get(f"/rounds/compare?a={first.round_id}&b=nothing").status_code == 404
    assert operator.get("/rounds/compare?a=%00").status_code == 404


def test_a_start_says_what_it_would_cost(operator: Client, present: SimulatedFederation) -> None:
    page = text(operator.get("/rounds/start?model=edge-normaliser"))
    assert "2 take part, 2 must submit" in page
    assert "on single records: multiplier" in page
    assert "org-alpha" in page
    assert "The start would be refused" not in page
    assert not TrainingRound.objects.exists()


def test_a_preview_keeps_what_was_typed_and_starts_nothing(
    operator: Client, present: SimulatedFederation, stored: Stored
) -> None:
    before = stored.count()
    page = text(operator.post("/rounds/start", choices(preview="yes", timeout=4321, min_orgs=7)))
    assert 'value="4321"' in page
    assert "The start would be refused" in page
    assert "too_few_organizations" in page
    assert stored.count() == before


def test_the_partial_preview_is_what_the_page_says(operator: Client, present: SimulatedFederation) -> None:
    partial = text(operator.post("/rounds/start/preview", choices()))
    assert partial in text(operator.get("/rounds/start?model=edge-normaliser"))
    assert operator.get("/rounds/start/preview").status_code == 405


def test_a_campaign_says_who_runs_out_before_its_end(operator: Client, present: SimulatedFederation) -> None:
    page = text(operator.post("/rounds/start-campaign/preview", choices(rounds=500)))
    assert "2 organisations run out before the last round" in page
    assert "after all" in page
    assert not Campaign.objects.exists()


def test_a_start_starts_and_shows_the_round(operator: Client, present: SimulatedFederation) -> None:
    page = text(operator.post("/rounds/start", choices(timeout=600, epsilon="0.25"), follow=True))
    started = TrainingRound.objects.get()
    assert "the organisations are asked for their updates" in page
    assert started.round_id in page
    assert (started.deadline - started.started_at).total_seconds() == pytest.approx(600, abs=1)


def test_a_campaign_starts_and_shows_its_first_round(operator: Client, present: SimulatedFederation) -> None:
    page = text(operator.post("/rounds/start-campaign", choices(rounds=2), follow=True))
    campaign = Campaign.objects.get()
    assert campaign.rounds_total == 2
    assert f"of campaign {campaign.pk}" in page


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"epsilon": "7"}, "privacy.epsilon_ppm is 7000000"),
        ({"min_orgs": 7}, "2 organizations would take part and 7 are needed"),
        ({"aggregation_params": "no equals"}, "Allowed: "),
        ({"model_name": "nothing"}, "Select a valid choice"),
        ({"privacy_mode": "none", "epsilon": "0.1"}, "has no use here"),
    ],
)
def test_a_refused_start_says_why_and_loses_nothing(
    operator: Client, present: SimulatedFederation, values: dict[str, Any], said: str
) -> None:
    page = text(operator.post("/rounds/start", choices(timeout=4321, **values)))
    assert said in page
    assert 'value="4321"' in page
    assert not TrainingRound.objects.exists()


def test_a_refusal_stands_at_its_field(operator: Client, present: SimulatedFederation) -> None:
    page = text(operator.post("/rounds/start", choices(epsilon="7")))
    assert "privacy.epsilon_ppm" in page.split('name="epsilon"')[1].split("</ul>")[0]


@pytest.mark.parametrize("path", ["/rounds/start", "/rounds/start-campaign"])
def test_viewers_start_nothing(viewer: Client, present: SimulatedFederation, path: str) -> None:
    for suffix in ("", "/preview"):
        assert viewer.post(f"{path}{suffix}", choices()).status_code == 403
    assert viewer.get(path).status_code == 403
    assert not TrainingRound.objects.exists()


def test_the_page_of_a_thousand_organizations_is_short(
    operator: Client, present: SimulatedFederation, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Organization.objects.bulk_create(
        Organization(org_id=f"zz-{number:04}", name="Zz", status=Organization.Status.ACTIVE) for number in range(1000)
    )
    with django_assert_max_num_queries(22):
        page = text(operator.get("/rounds/start?model=edge-normaliser"))
    assert "and 952 organisations with as much or more left" in page
