"""An operator runs the federation from the pages: approves, starts, follows, asks a second one; keyboard and print."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from federation.models import Organization, TrainingRound
from flxdr.core.clock import SystemClock
from flxdr.env import Env
from tests.browser.signing_in import PASSWORD, sign_in
from tests.conftest import SentTasks
from tests.support.browser import Witness
from tests.support.federation import SimulatedFederation, config_of, constant_delta, shapes_of

MODEL = "edge-classifier"
LIVE = 20_000
"""Milliseconds in which a page that refreshes itself shows what happened."""


@pytest.fixture
def federation(transactional_db: None, operator: User, sent_tasks: SentTasks) -> SimulatedFederation:
    federation = SimulatedFederation(SystemClock())
    federation.enrol("org-a", "org-b", "org-c")
    return federation


def test_a_campaign_is_started_and_followed_to_its_end(
    page: Page, live_server: LiveServer, federation: SimulatedFederation, witness: Witness, env: Callable[..., Env]
) -> None:
    env(privacy_mode="record")
    sign_in(page, live_server)
    page.get_by_role("link", name="Rounds", exact=True).click()
    page.get_by_role("link", name="Start a campaign").click()
    page.get_by_label("Model").select_option(MODEL)
    page.get_by_label("Rounds", exact=True).fill("1")
    page.get_by_label("Organisations needed").fill("2")
    follows = page.get_by_role("complementary").or_(page.get_by_role("region", name="What would follow"))
    expect(follows.first).to_contain_text("org-b", timeout=LIVE)
    page.get_by_role("button", name="Start the campaign").click()
    expect(page.get_by_text("collecting updates").or_(page.get_by_text("in progress")).first).to_be_visible()

    started = TrainingRound.objects.get()
    expect(page.get_by_role("heading", level=1)).to_contain_text("edge-classifier, round 1")
    delta = constant_delta(shapes_of(MODEL), 1)
    for organization in federation.organizations:
        organization.submit_delta(started, delta, privacy=config_of(started).privacy)
    federation.settle()
    expect(page.get_by_text("completed").first).to_be_visible(timeout=LIVE)
    expect(page.get_by_role("region", name="Result")).to_contain_text("released", timeout=LIVE)
    assert witness.complaints == []


def test_an_organisation_is_approved(page: Page, live_server: LiveServer, operator: User, witness: Witness) -> None:
    Organization.objects.create(org_id="org-new", name="Newcomer <b>Ltd</b>", status="pending")
    sign_in(page, live_server)
    page.get_by_role("link", name="Organisations", exact=True).click()
    page.get_by_role("link", name="Newcomer <b>Ltd</b>").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status").first).to_be_visible()
    assert Organization.objects.get(org_id="org-new").status == "active"
    assert witness.complaints == []


def test_a_suspension_waits_for_a_second_operator(
    browser: Browser, page: Page, live_server: LiveServer, federation: SimulatedFederation, witness: Witness
) -> None:
    User.objects.create_superuser("second", password=PASSWORD)
    sign_in(page, live_server)
    page.goto(f"{live_server.url}/organizations/org-b/")
    page.get_by_role("link", name="Suspend").click()
    page.get_by_label("Reason").fill("its key was found in a public repository")
    page.locator("main").get_by_role("button").last.click()
    assert Organization.objects.get(org_id="org-b").status == "active"

    context = browser.new_context()
    second = context.new_page()
    witness.attend(second)
    sign_in(second, live_server, "second")
    second.get_by_role("link", name="Confirmations").click()
    expect(second.locator("main")).to_contain_text("its key was found in a public repository")
    second.get_by_role("button", name="Confirm").click()
    expect(second.get_by_role("status").first).to_be_visible()
    context.close()
    assert Organization.objects.get(org_id="org-b").status == "suspended"
    page.reload()
    expect(page.locator("main")).to_contain_text("suspended")
    assert witness.complaints == []


def test_nobody_is_asked_while_nobody_looks(page: Page, live_server: LiveServer, operator: User) -> None:
    page.clock.install()
    sign_in(page, live_server)
    page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
    page.wait_for_load_state("networkidle")  # what was asked before nobody looked
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', { configurable: true, get: () => false })")
    with page.expect_request("**/overview/panels"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_the_keyboard_reaches_the_content_at_once(page: Page, live_server: LiveServer, operator: User) -> None:
    sign_in(page, live_server)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_a_page_prints_without_its_controls_and_with_whole_hashes(
    page: Page, live_server: LiveServer, operator: User
) -> None:
    sign_in(page, live_server)
    page.goto(f"{live_server.url}/ledger/")
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation", name="Pages", exact=True).is_visible()
    assert not page.get_by_role("button", name="Sign out").is_visible()
    digest = page.locator("code.hash[title]").first
    shown = digest.evaluate("element => getComputedStyle(element, '::after').content")
    assert len(str(digest.get_attribute("title"))) == 64
    assert str(digest.get_attribute("title")) in str(shown)


@pytest.mark.parametrize("wanted", ["light", "dark"])
def test_the_theme_is_chosen_once_for_pages_and_administration(
    page: Page, live_server: LiveServer, operator: User, wanted: str
) -> None:
    sign_in(page, live_server)
    switch = page.get_by_role("button", name="Change the theme")
    for _ in range(3):
        if page.locator("html").get_attribute("data-theme") == wanted:
            break
        switch.click()
    page.goto(f"{live_server.url}/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", wanted)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert light == (wanted == "light")
