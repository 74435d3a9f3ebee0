"""An operator's way through the pages, in a real browser under the strict content security policy."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from federation.services.enrolment import register
from flxdr.core.clock import SystemClock
from tests.browser.signing_in import sign_in
from tests.support.browser import Witness


def test_signing_in_and_verifying_the_chain(
    page: Page, live_server: LiveServer, operator: User, witness: Witness
) -> None:
    sign_in(page, live_server)
    chain = page.get_by_role("region", name="Chain")
    expect(chain).to_contain_text("not verified yet")
    page.get_by_role("button", name="Verify the whole chain now").click()
    expect(page.get_by_role("status").first).to_contain_text("blocks verify")
    expect(chain).to_contain_text("valid: the only block verified")
    expect(chain).to_contain_text("by operator:operator")
    assert witness.complaints == []


def test_the_page_follows_what_happens(page: Page, live_server: LiveServer, operator: User, witness: Witness) -> None:
    sign_in(page, live_server)
    expect(page.get_by_text("Nobody has registered yet.")).to_be_visible()
    register(
        org_id="org-alpha",
        name="Alpha Security Center",
        data_sources={},
        public_key_text=None,
        key_proof=None,
        enrolment_token=None,
        clock=SystemClock(),
    )
    expect(page.get_by_text("Alpha Security Center")).to_be_visible(timeout=15_000)
    expect(page.locator("[data-refresh-status]")).to_have_text("live")
    assert witness.complaints == []


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/federation/organization/", "/admin/federation/traininground/", "/admin/ledger/block/"]
)
def test_the_administration_keeps_the_policy(
    page: Page, live_server: LiveServer, operator: User, witness: Witness, path: str
) -> None:
    sign_in(page, live_server)
    page.goto(f"{live_server.url}{path}")
    expect(page.locator("#site-name")).to_be_visible()
    assert witness.complaints == []


def test_the_api_documentation_works_under_the_policy(
    page: Page, live_server: LiveServer, operator: User, witness: Witness
) -> None:
    page.goto(f"{live_server.url}/docs")
    expect(page.get_by_role("heading", name="flxdr")).to_be_visible()
    expect(page.locator(".opblock").first).to_be_visible()
    assert witness.complaints == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_nothing_is_wider_than_the_screen(
    page: Page, live_server: LiveServer, operator: User, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    sign_in(page, live_server)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
