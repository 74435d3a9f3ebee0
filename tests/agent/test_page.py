"""`flxdr-agent page`: the link is the coordinator's, the address is the one that this agent trusts."""

from __future__ import annotations

import webbrowser
from typing import Any

import httpx
import pytest

from federation.agent.errors import ExitCode
from tests.agent.conftest import Bench
from tests.agent.real_federation import Federation, federation

__all__ = ["federation"]


@pytest.mark.parametrize("host", ["http://internal:8000", "https://evil.example", "https://c.example"])
def test_the_link_leads_to_the_configured_coordinator(bench: Bench, host: str) -> None:
    bench.coordinator.page_url = f"{host}/member/sign-in/abc:def/"
    answer = bench.cli_json("page")
    assert answer == {"url": f"{bench.config.coordinator.url}/member/sign-in/abc:def/", "expires_in": 120}
    assert bench.cli("page").stdout.splitlines()[0] == answer["url"]


@pytest.mark.parametrize(
    "url", [None, 7, "", "javascript:alert(1)", "https://c.example/a?b=c", "https://c.example/#x", "/a\x1b[2J"]
)
def test_what_is_no_page_is_not_shown(bench: Bench, url: Any) -> None:
    bench.coordinator.page_url = url
    result = bench.cli("page")
    assert result.exit_code == ExitCode.CHECK_FAILED
    assert "holds no link to a page" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("opens", [True, False])
def test_it_opens_a_browser_only_when_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch, opens: bool) -> None:
    opened: list[str] = []

    def open_browser(url: str) -> bool:
        opened.append(url)
        return opens

    monkeypatch.setattr(webbrowser, "open", open_browser)
    bench.cli("page")
    assert opened == []
    result = bench.cli("page", "--open")
    assert opened == [f"{bench.config.coordinator.url}/member/sign-in/abc/"]
    assert ("no browser could be opened" in result.stderr) is not opens


@pytest.mark.django_db(transaction=True)
def test_a_browser_gets_in_with_the_real_coordinators_link(federation: Federation) -> None:
    federation.enrol("org-a", "--algorithm", "Ed25519")
    (answer,) = federation.cli("org-a", "page")
    assert answer["url"].startswith(f"{federation.url}/member/sign-in/")
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(f"{federation.url}/member/").status_code == 403
        page = browser.get(answer["url"])
        assert "Sign in as Org-A" in page.text
        headers = {"X-CSRFToken": browser.cookies["csrftoken"], "Origin": federation.url}
        page = browser.post(answer["url"], headers=headers)
        assert (page.status_code, page.url.path) == (200, "/member/")
        assert "Org-A" in page.text
        assert browser.post(answer["url"], headers=headers).status_code == 403
