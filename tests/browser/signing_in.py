"""The operator of the browser tests, and the way in."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

PASSWORD = "a-long-operator-password"


def sign_in(page: Page, live_server: LiveServer, username: str = "operator") -> None:
    """Sign in on the page that asks for it, and come to the overview."""
    page.goto(f"{live_server.url}/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.wait_for_load_state()
