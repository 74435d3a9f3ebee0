"""The page of what waits for a second operator."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from federation.models import ConfirmationRequest, Organization, TrainingRound
from federation.services import campaigns, confirmations
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.env import Env
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
Action = ConfirmationRequest.Action


def text(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return " ".join(response.content.decode().split())


def ask(actor: str = "operator:kim", *, days_ago: int = 0, org_id: str = "org-alpha") -> ConfirmationRequest:
    """Kim's wish to suspend an organisation, which is there then."""
    Organization.objects.get_or_create(org_id=org_id, name="Alpha", status=Organization.Status.ACTIVE)
    clock = ManualClock(datetime.now(UTC) - timedelta(days=days_ago))
    asked = confirmations.request_action(
        action=Action.SUSPEND, subject=org_id, reason="wrong <data>", actor=actor, clock=clock
    )
    assert asked is not None
    return asked


def test_who_asked_may_only_cancel(operator: Client) -> None:
    asked = ask()
    page = text(operator.get("/confirmations/"))
    assert "Suspend the organisation" in page
    assert 'href="/organizations/org-alpha/"' in page
    assert "wrong &lt;data&gt;" in page
    assert "You asked for this; another operator has to confirm it." in page
    assert f"/confirmations/{asked.pk}/confirm/" not in page
    refused = text(operator.post(f"/confirmations/{asked.pk}/confirm/", follow=True))
    assert "operator:kim asked for this" in refused
    assert Organization.objects.get().status == "active"
    assert "Cancelled: Suspend the organisation org-alpha." in text(
        operator.post(f"/confirmations/{asked.pk}/cancel/", follow=True)
    )
    assert ConfirmationRequest.objects.get().status == "cancelled"


def test_another_operator_confirms(second: Client) -> None:
    asked = ask()
    assert f'action="/confirmations/{asked.pk}/confirm/"' in text(second.get("/confirmations/"))
    page = text(second.post(f"/confirmations/{asked.pk}/confirm/", follow=True))
    assert "Confirmed and done: Suspend the organisation org-alpha." in page
    assert "Nothing waits" in page
    assert Organization.objects.get().status == "suspended"
    assert "the request is confirmed" in text(second.post(f"/confirmations/{asked.pk}/confirm/", follow=True))


def test_one_whose_time_is_over_is_expired_at_once(second: Client) -> None:
    asked = ask(days_ago=2)
    page = text(second.get("/confirmations/"))
    assert "Nothing waits" in page
    assert ">expired<" in page
    assert "nobody in time" in page
    assert "the request is expired" in text(second.post(f"/confirmations/{asked.pk}/confirm/", follow=True))


def test_every_action_leads_to_what_it_is_about(second: Client, federation: SimulatedFederation) -> None:
    federation.enrol("org-alpha", "org-beta")
    clock = SystemClock()
    campaign = campaigns.start_campaign(actor="operator", rounds=1, clock=clock)
    training_round = TrainingRound.objects.get()
    for action, subject in ((Action.ABORT_CAMPAIGN, str(campaign.pk)), (Action.ABORT_ROUND, training_round.round_id)):
        confirmations.request_action(action=action, subject=subject, reason="", actor="operator:kim", clock=clock)
    page = text(second.get("/confirmations/"))
    assert f'href="/admin/federation/campaign/{campaign.pk}/change/"' in page
    assert f'href="/rounds/{training_round.round_id}/"' in page


def test_the_navigation_says_how_many_wait(viewer: Client) -> None:
    assert 'class="count"' not in text(viewer.get("/confirmations/"))
    ask(org_id="org-a")
    ask(org_id="org-b")
    ask(org_id="org-c", days_ago=2)
    page = text(viewer.get("/organizations/"))
    assert re.search(r'<span class="count">2<span class="hidden-label">', page)


def test_who_may_only_look_finds_no_button_and_no_door(viewer: Client) -> None:
    asked = ask()
    page = text(viewer.get("/confirmations/"))
    assert "wrong &lt;data&gt;" in page
    for action in ("confirm", "cancel"):
        assert f"/confirmations/{asked.pk}/{action}/" not in page
        assert viewer.post(f"/confirmations/{asked.pk}/{action}/").status_code == 403
        assert viewer.get(f"/confirmations/{asked.pk}/{action}/").status_code == 403
    assert ConfirmationRequest.objects.get().status == "waiting"


@pytest.mark.parametrize("number", ["0", "9" * 40])
def test_an_unknown_request_is_no_error(operator: Client, number: str) -> None:
    assert "no request" in text(operator.post(f"/confirmations/{number}/confirm/", follow=True))


def test_a_rule_that_is_off_is_said(operator: Client, env: Callable[..., Env]) -> None:
    env(two_person=False)
    assert "FL_TWO_PERSON=false" in text(operator.get("/confirmations/"))


def test_queries_do_not_grow(operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(60):
        asked = ask(org_id=f"org-{number}")
        if number % 2:
            confirmations.cancel(request_id=asked.pk, actor="operator:sam", clock=SystemClock())
    with django_assert_max_num_queries(12):
        page = text(operator.get("/confirmations/"))
    assert "1 to 30 of 30" in page
