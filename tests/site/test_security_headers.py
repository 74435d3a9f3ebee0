"""Every answer of the site carries the headers that bind browsers: pages, API, files, refusals, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db
EXPECTED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
A_YEAR = "max-age=31536000; includeSubDomains"


def routes(patterns: list[URLPattern | URLResolver] | None = None, before: str = "/") -> Iterator[str]:
    """A path of every route, with some value for each parameter."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        own = re.sub(r"<(\w+:)?\w+>", "1", str(pattern.pattern))
        own = re.sub(r"\(\?P<url>[^)]*\)", "x", own).strip("^$").replace("\\Z", "")
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, before + own)
        else:
            yield before + own


@pytest.fixture
def production(settings: LazySettings) -> None:
    settings.SECURE_HSTS_SECONDS = 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [r"^healthz$"]


def browser(**environ: Any) -> Client:
    return Client(HTTP_HOST="localhost", REMOTE_ADDR="203.0.113.9", raise_request_exception=False, **environ)


def administrator() -> Client:
    client = browser()
    client.force_login(User.objects.create_superuser("kim"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def check(response: Any, *, secure: bool = True, is_file: bool = False) -> None:
    headers = response.headers
    assert {name: headers.get(name) for name in EXPECTED} == EXPECTED
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers.get("Strict-Transport-Security") == (A_YEAR if secure else None)
    assert len(headers["X-Request-Id"]) == 16
    assert "Server" not in headers
    assert ("no-store" in headers["Cache-Control"]) is not is_file


@pytest.mark.usefixtures("production")
def test_every_route_for_strangers_and_for_an_administrator() -> None:
    paths = sorted(set(routes()))
    assert len(paths) > 100
    stranger, kim = browser(), administrator()
    statuses = set()
    for path in paths:
        for client in (stranger, kim):
            response = client.get(path, secure=True)
            statuses.add(response.status_code)
            check(response)
    assert {200, 302, 401, 404, 405} <= statuses


@pytest.mark.usefixtures("production")
def test_what_the_frame_answers_by_itself(env: Any) -> None:
    with closing(browser().get("/static/flxdr/dashboard.css", secure=True)) as file:
        check(file, is_file=True)
    check(browser().get("/nowhere", secure=True))
    check(browser().get("/api/nowhere", secure=True))
    moved = browser().get("/admin/login/")
    assert (moved.status_code, moved["Location"]) == (301, "https://localhost/admin/login/")
    check(moved, secure=False)
    for secure in (True, False):
        wrong_host = browser().get("/", secure=secure, HTTP_HOST="elsewhere.example")
        assert wrong_host.status_code == 400
        check(wrong_host, secure=secure)
    forged = Client(HTTP_HOST="localhost", enforce_csrf_checks=True).post("/admin/login/", secure=True)
    assert forged.status_code == 403
    check(forged)
    env(mtls_required=True)
    refused = browser().get("/api/fl-blockchain/health", secure=True)
    assert (refused.status_code, refused.json()["code"]) == (403, "client_certificate_required")
    check(refused)


@pytest.mark.usefixtures("production")
def test_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("inside")

    monkeypatch.setattr("flxdr.platform.api.views.contract_routes", fail)
    monkeypatch.setattr("flxdr.dashboard.rounds.views.models_with_rounds", fail)
    for client, path in ((browser(), "/api/fl-blockchain/info"), (administrator(), "/rounds/")):
        response = client.get(path, secure=True)
        assert response.status_code == 500
        check(response)


@pytest.mark.usefixtures("production")
def test_probes_answer_without_tls() -> None:
    response = browser().get("/healthz")
    assert response.status_code == 200
    check(response, secure=False)
