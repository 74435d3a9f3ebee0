"""Single sign-on in a real browser: from the sign-in page to the provider, back, and out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.support.browser import Witness
from tests.support.identity import identity_provider

KIM = {"sub": "kim-1", "preferred_username": "kim", "groups": ["soc"]}
SAM = {"sub": "sam-2", "preferred_username": "sam", "groups": ["staff"]}


@pytest.mark.usefixtures("transactional_db")
def test_to_the_provider_and_back(
    page: Page, live_server: LiveServer, witness: Witness, env: Callable[..., Any]
) -> None:
    cache.clear()
    # The provider's own page wants a style sheet of another site.
    page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body="", content_type="text/css"))
    button = "Sign in with your organisation's account"
    with identity_provider(KIM, SAM) as issuer:
        env(oidc_issuer=issuer, oidc_client_id="flxdr", oidc_client_secret="s", oidc_roles=("soc:operator",))
        page.goto(f"{live_server.url}/rounds/")
        page.get_by_role("link", name=button).click()
        page.get_by_role("button", name="kim-1").click()
        expect(page.get_by_role("heading", name="Rounds", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="kim@sso")).to_be_visible()

        page.get_by_role("button", name="Sign out").click()
        page.goto(f"{live_server.url}/")
        page.get_by_role("link", name=button).click()
        page.get_by_role("button", name="sam-2").click()
        expect(page.get_by_text("has no role here")).to_be_visible()
        page.get_by_role("link", name="Back to the sign-in page").click()
        expect(page.get_by_label("Password")).to_be_visible()
    assert [complaint for complaint in witness.complaints if "403" not in complaint] == []
