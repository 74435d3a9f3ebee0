"""What scripts add to pages: they follow what happens without disturbing who reads, and say what would follow."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from federation.models import Organization
from federation.services import rounds
from flxdr.core.clock import SystemClock
from tests.browser.signing_in import sign_in
from tests.support.browser import Witness
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

MODEL = "edge-normaliser"
SOON = 15_000


@pytest.fixture
def federation(transactional_db: None) -> SimulatedFederation:
    here = SimulatedFederation(SystemClock())
    here.enrol("org-a", "org-b")
    return here


def test_a_refresh_leaves_the_focus_where_it_is(
    page: Page, live_server: LiveServer, operator: User, federation: SimulatedFederation, witness: Witness
) -> None:
    sign_in(page, live_server)
    link = page.get_by_role("link", name="All organisations")
    link.focus()
    Organization.objects.create(org_id="org-new", name="New Observatory")
    expect(page.get_by_role("link", name="New Observatory")).to_be_visible(timeout=SOON)
    expect(link).to_be_focused()
    assert witness.complaints == []


def test_a_session_that_ended_is_told_from_a_coordinator_that_is_down(
    page: Page, live_server: LiveServer, operator: User, federation: SimulatedFederation
) -> None:
    sign_in(page, live_server)
    status = page.locator("[data-refresh-status]")
    expect(status).to_have_text("live", timeout=SOON)
    Session.objects.all().delete()
    expect(status).to_have_text("signed out: reload the page to sign in again", timeout=SOON)


def test_a_round_is_watched_to_its_end(
    page: Page, live_server: LiveServer, operator: User, federation: SimulatedFederation, witness: Witness
) -> None:
    opened = rounds.start_round(actor="operator", model_name=MODEL, clock=SystemClock())
    sign_in(page, live_server)
    page.goto(f"{live_server.url}/rounds/{opened.round_id}/")
    reason = page.get_by_label("Reason")
    reason.fill("not yet")
    federation.submit_all(opened, constant_delta(shapes_of(MODEL), 1))
    expect(page.get_by_text("org-b submitted", exact=True)).to_be_visible(timeout=SOON)
    federation.settle()
    expect(page.get_by_role("region", name="Result")).to_contain_text("released", timeout=SOON)
    expect(reason).to_have_value("not yet")
    assert witness.complaints == []


def test_a_form_says_what_would_follow_while_it_is_filled_in(
    page: Page, live_server: LiveServer, operator: User, federation: SimulatedFederation, witness: Witness
) -> None:
    sign_in(page, live_server)
    page.goto(f"{live_server.url}/rounds/start?model={MODEL}")
    outlook = page.get_by_role("region", name="What would follow")
    expect(outlook).to_contain_text("2 take part, 2 must submit")
    page.get_by_label("Organisations needed").fill("7")
    expect(outlook).to_contain_text("too_few_organizations", timeout=SOON)
    page.get_by_label("Organisations needed").fill("")
    expect(outlook).to_contain_text("2 take part, 2 must submit", timeout=SOON)
    assert witness.complaints == []
