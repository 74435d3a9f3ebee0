"""What each role may do: the table, the pages, the admin's actions, the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.urls import get_resolver, reverse

from federation.models import ConfirmationRequest, Organization
from federation.services import enrolment
from flxdr.core.clock import ManualClock
from flxdr.operators.roles import ADMINISTRATOR, AUDITOR, DESCRIPTIONS, EXTRA, OPERATOR, ROLES, VIEWED_APPS, VIEWER
from flxdr.platform.models import AuditEvent
from tests.operators.accounts import account, signed_in

pytestmark = pytest.mark.django_db
API = "/api/fl-blockchain/"
ACTING = {VIEWER: False, OPERATOR: True, AUDITOR: False, ADMINISTRATOR: True}
MANAGING = {VIEWER: False, OPERATOR: False, AUDITOR: False, ADMINISTRATOR: True}


def held(role: str) -> set[str]:
    permissions = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in permissions}


@pytest.fixture
def organization() -> Organization:
    return enrolment.register(org_id="org-a", name="A", clock=ManualClock())


@pytest.mark.parametrize("role", ROLES)
def test_a_group_holds_what_the_table_says(role: str) -> None:
    looking = {
        f"{label}.view_{model._meta.model_name}"
        for label in VIEWED_APPS
        for model in apps.get_app_config(label).get_models()
    }
    assert len(looking) > 20
    assert held(role) == looking | EXTRA[role]
    assert role in DESCRIPTIONS


def test_every_application_of_ours_is_looked_at() -> None:
    ours = {
        config.label
        for config in apps.get_app_configs()
        if config.name.split(".")[0] in {"flxdr", "federation", "ledger", "privacy"} and list(config.get_models())
    }
    assert ours - {"operators"} == set(VIEWED_APPS), "whose account is whose is the administrators' to know"


def test_a_migration_restores_what_is_missing_and_keeps_what_is_added() -> None:
    Group.objects.get(name=AUDITOR).delete()
    viewers = Group.objects.get(name=VIEWER)
    viewers.permissions.remove(Permission.objects.get(codename="view_block"))
    viewers.permissions.add(Permission.objects.get(codename="view_session"))
    call_command("migrate", verbosity=0)
    assert held(AUDITOR) > EXTRA[AUDITOR]
    assert {"ledger.view_block", "sessions.view_session"} <= held(VIEWER)


PAGES = [
    *(f"/{part.pattern}" for part in get_resolver("flxdr.dashboard.urls").url_patterns),
    "/admin/",
    *(
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for label in VIEWED_APPS
        for model in apps.get_app_config(label).get_models()
        if site.is_registered(model)
    ),
]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_sees_every_page(role: str) -> None:
    client = signed_in(account(role))
    assert {path: client.get(path).status_code for path in PAGES} == dict.fromkeys(PAGES, 200)


def test_staff_without_a_role_sees_nothing() -> None:
    user = account(VIEWER)
    user.groups.clear()
    client = signed_in(user)
    allowed = [path for path in PAGES if client.get(path).status_code == 200]
    assert allowed == ["/admin/"]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ["approve", "suspend"])
def test_actions_of_the_admin_are_for_those_who_operate(role: str, action: str, organization: Organization) -> None:
    Organization.objects.update(status="pending" if action == "approve" else "active")
    client = signed_in(account(role))
    events = AuditEvent.objects.count()
    client.post(
        reverse("admin:federation_organization_changelist"),
        {"action": action, "_selected_action": str(organization.pk), "asked": "yes", "reason": "x"},
    )
    assert (AuditEvent.objects.count() > events) is ACTING[role]


@pytest.mark.parametrize("role", ROLES)
def test_rounds_are_started_by_those_who_operate(role: str) -> None:
    client = signed_in(account(role))
    for model in ("traininground", "campaign", "enrolmenttoken"):
        assert client.get(f"/admin/federation/{model}/add/").status_code == (200 if ACTING[role] else 403)


@pytest.mark.parametrize("role", ROLES)
def test_accounts_are_managed_by_administrators(role: str) -> None:
    client = signed_in(account(role))
    for path in ("user/", "user/add/", "group/"):
        assert client.get(f"/admin/auth/{path}").status_code == (200 if MANAGING[role] else 403)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("environ", [{"REMOTE_ADDR": "192.0.2.7"}, {"REMOTE_ADDR": "127.0.0.1"}])
@pytest.mark.usefixtures("organization")
def test_a_session_writes_if_its_role_operates(role: str, environ: dict[str, Any]) -> None:
    """From the machine itself too, where in development even nobody operates."""
    client = signed_in(account(role), HTTP_HOST="localhost", **environ)
    assert client.get(f"{API}federation/organizations").status_code == 200
    posts = {
        "federation/organizations/org-a/suspend": 202,
        "federation/round/start": 409,  # too few organisations
        "federation/campaign/start": 409,
        "blockchain/governance/withdraw": 400,
    }
    answers = {path: client.post(f"{API}{path}", "{}", content_type="application/json").status_code for path in posts}
    assert answers == (posts if ACTING[role] else dict.fromkeys(posts, 403))
    assert ConfirmationRequest.objects.exists() is ACTING[role]
