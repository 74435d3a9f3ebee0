"""An organisation's way to its own page in a browser: the link, the button, the page, signing out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from federation.services.sign_in import make_sign_in_secret
from flxdr.core.clock import SystemClock
from flxdr.env import Env
from tests.browser.test_every_page import DESK, PHONE, sideways, violations
from tests.conftest import SentTasks
from tests.support.browser import Witness
from tests.support.showcase import OUTLIER, SHOWN, Showcase


@pytest.fixture
def showcase(transactional_db: None, sent_tasks: SentTasks, env: Callable[..., Env]) -> Showcase:
    env(**SHOWN)
    return Showcase().build()


def test_a_link_opens_the_organizations_page_and_nothing_else(
    page: Page, live_server: LiveServer, operator: User, witness: Witness, showcase: Showcase
) -> None:
    page.goto(f"{live_server.url}/member/sign-in/{make_sign_in_secret(org_id=OUTLIER, clock=SystemClock())}/")
    assert violations(page) == []
    page.get_by_role("button", name="Sign in as Delta Backbone").click()
    expect(page.get_by_role("heading", name="Delta Backbone")).to_be_visible()
    for path in ("/member/", "/member/rounds/", "/member/budget/"):
        page.goto(f"{live_server.url}{path}")
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            assert sideways(page) <= 0, path
        assert violations(page) == []
    page.goto(f"{live_server.url}/member/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert download.value.suggested_filename.startswith(f"{OUTLIER}-round-")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
    assert violations(page) == []
    assert [each for each in witness.complaints if "403" not in each] == []
