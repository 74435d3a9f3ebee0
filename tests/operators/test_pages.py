"""No page lets a role change anything that only looks, whatever it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from federation.models import ConfirmationRequest, EnrolmentToken
from federation.services import campaigns, confirmations
from federation.services.enrolment_tokens import create_enrolment_token
from flxdr.core.clock import SystemClock
from flxdr.operators.roles import ADMINISTRATOR, AUDITOR, OPERATOR, ROLES, VIEWER
from tests.federation.conftest import Stored
from tests.operators.accounts import account, signed_in
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
CLOCK = SystemClock()
FORM = {
    "reason": "because",
    "confirmed": "yes",
    "organization": "org-new",
    "org_id": "org-new",
    "days": "1",
    "model_name": "edge-classifier",
    "rounds": "1",
}


def routes(patterns: Any, prefix: str = "/") -> Iterator[str]:
    for part in patterns:
        if isinstance(part, URLResolver):
            yield from routes(part.url_patterns, prefix + str(part.pattern))
        elif isinstance(part, URLPattern):
            yield prefix + str(part.pattern)


FOR_OTHERS = {"/verify-chain", "/audit/export"}  # which every role, and the auditor alone, may do
ROUTES = sorted(set(routes(get_resolver("flxdr.dashboard.urls").url_patterns)) - FOR_OTHERS)


@pytest.fixture
def names() -> dict[str, Any]:
    """What the routes' parameters stand for: things that are there, so that nothing hides behind a 404."""
    federation = SimulatedFederation(CLOCK)
    federation.enrol("org-a", "org-b")
    member = federation.organizations[0]
    assert member.key is not None
    campaign = campaigns.start_campaign(actor="x", rounds=2, clock=CLOCK)
    create_enrolment_token(org_id="org-c", lifetime=timedelta(days=1), actor="x", clock=CLOCK)
    asked = confirmations.request_action(
        action=ConfirmationRequest.Action.SUSPEND, subject="org-b", reason="", actor="operator:sam", clock=CLOCK
    )
    assert asked is not None
    return {
        "campaign_id": campaign.pk,
        "height": 0,
        "key_id": member.key.public.key_id,
        "model_hash": "0" * 64,
        "model_name": "global",
        "name": "suspend",
        "org_id": "org-a",
        "request_id": asked.pk,
        "round_id": campaign.rounds.get().round_id,
        "token_id": EnrolmentToken.objects.get().pk,
        "version": 1,
    }


def post_everywhere(client: Client, names: dict[str, Any]) -> dict[str, int]:
    """Statuses by route."""

    def filled(route: str) -> str:
        return re.sub(r"<\w+:(\w+)>", lambda found: str(names.get(found.group(1), 1)), route)

    return {route: client.post(filled(route), FORM).status_code for route in ROUTES}


@pytest.mark.parametrize("role", [VIEWER, AUDITOR])
def test_who_only_looks_changes_nothing(role: str, names: dict[str, Any], data_dir: Path) -> None:
    client = signed_in(account(role))
    stored = Stored(data_dir)
    before = stored.count()
    statuses = post_everywhere(client, names)
    assert stored.count() == before
    assert statuses["/confirmations/<int:request_id>/confirm/"] == 403


def test_the_audit_trail_is_exported_by_those_whose_role_it_is() -> None:
    statuses = {role: signed_in(account(role)).post("/audit/export").status_code for role in ROLES}
    assert statuses == {VIEWER: 403, OPERATOR: 403, AUDITOR: 200, ADMINISTRATOR: 200}


def test_who_operates_changes_something(names: dict[str, Any], data_dir: Path) -> None:
    """The same requests are such that change something."""
    client = signed_in(account(OPERATOR))
    stored = Stored(data_dir)
    before = stored.count()
    assert 403 not in post_everywhere(client, names).values()
    told = stored.count() - before
    assert told["AuditEvent"] >= 5, told
