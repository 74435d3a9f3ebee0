"""Health, information, the API's description and the frame around every page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from flxdr.core.clock import parse_timestamp
from flxdr.core.protocol import PROTOCOL_VERSION
from flxdr.platform import heartbeat
from flxdr.platform.api import probes
from flxdr.platform.api.views import contract_routes

PREFIX = "/api/fl-blockchain/"


def test_health(outsider: APIClient) -> None:
    body = outsider.get(f"{PREFIX}health").json()
    assert set(body) == {"status", "timestamp"}
    assert body["status"] == "healthy"
    assert abs(parse_timestamp(body["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)


def test_information(outsider: APIClient) -> None:
    assert outsider.get(f"{PREFIX}info").json() == {
        "system": "FL+Blockchain XDR",
        "version": version("flxdr"),
        "components": ["FederationOrchestrator", "PrivacyLayer", "BlockchainLedger", "FederatedModels"],
        "api_endpoints": 14,
        "protocol_version": PROTOCOL_VERSION,
    }


def test_contract_routes_are_counted_from_the_routes() -> None:
    names = list(contract_routes())
    assert len(names) == len(set(names)) == 14
    assert {"contract-health", "contract-info"} <= set(names)


@pytest.mark.urls("flxdr.platform.api.urls")
def test_information_counts_what_is_routed(outsider: APIClient) -> None:
    assert outsider.get("/info").json()["api_endpoints"] == 2


@pytest.mark.parametrize("operation", ["health", "info"])
def test_unknown_query_parameters_are_refused(outsider: APIClient, operation: str) -> None:
    response = outsider.get(f"{PREFIX}{operation}?verbose=1")
    assert (response.status_code, response.json()["code"]) == (400, "unknown_parameter")


@pytest.mark.parametrize("operation", ["health", "info"])
def test_a_bad_token_does_not_hide_the_health(outsider: APIClient, operation: str) -> None:
    assert outsider.get(f"{PREFIX}{operation}", headers={"Authorization": "Bearer x"}).status_code == 200


def test_healthz(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "healthy"}
    assert client.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_readyz_tells_of_every_part(client: Client) -> None:
    without = client.get("/readyz")
    assert (without.status_code, without.json()["parts"]["worker"]) == (503, "not ready")
    heartbeat.beat("celery@here")
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert {"database", "broker", "disk", "worker", "chain"} == set(response.json()["parts"])


@pytest.mark.django_db
def test_readyz_names_the_part_that_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("secret reason")

    monkeypatch.setitem(probes._checks, "disk", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["disk"] == "not ready"
    assert response.json()["parts"]["database"] == "ready"
    assert b"secret" not in response.content


def test_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "SMALLEST_FREE_BYTES", 2**62)
    with pytest.raises(OSError, match="nearly full"):
        probes.disk()


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    response = Client(HTTP_HOST="localhost").get("/api/schema/")
    assert response.status_code == 200
    document: dict[str, Any] = yaml.safe_load(response.content)
    return document


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }


def test_schema_is_openapi_3_1(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    assert f"GET {PREFIX}health" in operations(schema)


def test_schema_is_valid_and_generated_without_a_warning(tmp_path: Path) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))


def test_every_operation_documents_problems(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema).items():
        problems = {code: body for code, body in operation["responses"].items() if code >= "400"}
        assert {"400", "405", "406", "503"} <= set(problems), name
        for code, body in problems.items():
            assert list(body["content"]) == ["application/problem+json"], (name, code)
        if not name.startswith("GET"):
            assert {"409", "413", "415", "422"} <= set(problems), name
        if "{" in name:
            assert "404" in problems, name


def test_open_operations_need_no_credentials_and_others_name_theirs(schema: dict[str, Any]) -> None:
    assert set(schema["components"]["securitySchemes"]) == {"bearerToken", "operatorSession"}
    assert operations(schema)[f"GET {PREFIX}health"].get("security", [{}]) == [{}]


class Resources(HTMLParser):
    """Addresses that a page loads, and what a strict policy would block."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.blocked: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        address = named.get("src") or (named.get("href") if tag == "link" else None)
        if address:
            self.addresses.append(address)
        inline_script = tag == "script" and not named.get("src")
        if inline_script or tag == "style" or "style" in named or any(name.startswith("on") for name in named):
            self.blocked.append(self.get_starttag_text() or tag)


def test_documentation_works_under_the_policy(client: Client) -> None:
    response = client.get("/docs")
    assert response.status_code == 200
    resources = Resources(response.content.decode())
    assert resources.blocked == []
    assert len(resources.addresses) == 5
    for address in resources.addresses:
        assert address.startswith("/"), "nothing comes from another site"
        loaded = client.get(address)
        assert loaded.status_code == 200
        b"".join(loaded) if loaded.streaming else loaded.content
    script = client.get(resources.addresses[-1])
    assert script["Content-Type"].startswith("application/javascript")
    assert b"SwaggerUIBundle" in script.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/docs", f"{PREFIX}health", "/admin/login/", "/healthz", "/nothing"])
def test_security_headers(client: Client, path: str) -> None:
    response = client.get(path)
    policy = dict(part.split(" ", 1) for part in re.split(r";\s*", response["Content-Security-Policy"]))
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert re.fullmatch("[0-9a-f]{16}", response["X-Request-Id"])


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://localhost:5173", True), ("http://localhost:5174", False), ("null", False)]
)
def test_cross_origin_requests(client: Client, origin: str, allowed: bool) -> None:
    response = client.get(f"{PREFIX}health", headers={"Origin": origin})
    assert response.get("Access-Control-Allow-Origin") == (origin if allowed else None)


@pytest.mark.django_db
def test_guessing_passwords_is_slowed_down(client: Client) -> None:
    attempts = [client.post("/admin/login/", {"username": "root", "password": f"guess {n}"}) for n in range(6)]
    assert [response.status_code for response in attempts] == [200, 200, 200, 200, 429, 429]


def test_a_client_cannot_choose_the_request_id(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-Id": "0" * 16})
    assert response["X-Request-Id"] != "0" * 16
