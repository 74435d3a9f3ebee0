"""The second factor in a real browser: set up from the page, asked for at the next sign-in."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.signing_in import PASSWORD, sign_in
from tests.operators.authenticator import Authenticator
from tests.support.browser import Witness


def accessible(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page).response["violations"]
        assert not found, [(each["id"], node["html"][:120]) for each in found for node in each["nodes"]]


def test_setting_it_up_and_signing_in(
    page: Page, live_server: LiveServer, operator: User, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = Authenticator(monkeypatch)
    sign_in(page, live_server)
    page.goto(f"{live_server.url}/account/two-factor")
    image = page.get_by_role("img", name="QR code")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.naturalWidth") > 0, "the policy lets it be drawn"
    accessible(page)
    authenticator.scan(page.content())
    page.get_by_label("Code").fill(authenticator.fresh())
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    expect(page.locator("#content li code")).to_have_count(10)
    accessible(page)
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.goto(f"{live_server.url}/account/two-factor")
    accessible(page)

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{live_server.url}/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("This account asks for a code as well.")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Code").fill(authenticator.fresh())
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert witness.complaints == []
