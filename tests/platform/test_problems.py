"""Every error is a problem document that says what a caller needs and nothing of the inside."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.test import APIClient

from flxdr.platform.api import problems
from tests.platform.routes import ERRORS

pytestmark = pytest.mark.urls("tests.platform.routes")


CASES = [
    ("conflict", 409, "conflict"),
    ("unavailable", 503, "unavailable"),
    ("misconfigured", 500, "internal_error"),
    ("http404", 404, "not_found"),
    ("django-permission", 403, "forbidden"),
    ("suspicious", 400, "malformed"),
    ("too-big", 413, "too_large"),
    ("database", 503, "unavailable"),
    ("connection-gone", 503, "unavailable"),
    ("database-full", 507, "storage_full"),
    ("database-server-full", 507, "storage_full"),
    ("disk-full", 507, "storage_full"),
    ("quota", 507, "storage_full"),
    ("disk-broken", 500, "internal_error"),
    ("throttled", 429, "too_many_requests"),
    ("parse", 400, "malformed"),
    ("unexpected", 500, "internal_error"),
]


@pytest.mark.parametrize(("name", "status", "code"), CASES)
def test_error_becomes_a_problem(api: APIClient, name: str, status: int, code: str) -> None:
    response = api.get(f"/api/fail/{name}")
    problem = response.json()
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:flxdr:error:{code}")
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"] == response["X-Request-Id"]
    assert "inside" not in response.content.decode()
    assert "/srv" not in response.content.decode()


def test_every_error_of_the_routes_is_covered() -> None:
    assert {name for name, _, _ in CASES} == set(ERRORS)


def test_problem_carries_expectation_action_and_fields(api: APIClient) -> None:
    problem = api.get("/api/fail/conflict").json()
    assert (problem["expected"], problem["action"], problem["round_id"]) == ("an open round", "Wait.", "r-1")


@pytest.mark.parametrize(
    ("name", "seconds"), [("unavailable", "7"), ("throttled", "3"), ("database", "1"), ("disk-full", "30")]
)
def test_retry_after(api: APIClient, name: str, seconds: str) -> None:
    assert api.get(f"/api/fail/{name}")["Retry-After"] == seconds


@pytest.mark.parametrize("path", ["/api/nothing", "/api/fl-blockchain/nothing", "/api/fl-blockchain/health/x"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_unknown_address(api: APIClient, path: str, method: str) -> None:
    response = getattr(api, method)(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert path in response.json()["detail"]


def test_unknown_page_is_a_page(api: APIClient) -> None:
    response = api.get("/nothing")
    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


def test_method_not_allowed_names_the_allowed(api: APIClient) -> None:
    response = api.delete("/api/body")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response.json()["allowed"] == ["POST", "OPTIONS"]
    assert response["Allow"] == "POST, OPTIONS"


def test_unsupported_media_type_names_the_readable(api: APIClient) -> None:
    response = api.post("/api/body", b"<a/>", content_type="application/xml")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert response.json()["expected"] == "application/json"


def test_not_acceptable(api: APIClient) -> None:
    response = api.get("/api/page", headers={"Accept": "image/png"})
    assert (response.status_code, response.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("body", [b"{", b"[1,", b"\xff\xfe", b"{'a': 1}"])
def test_malformed_json(api: APIClient, body: bytes) -> None:
    response = api.post("/api/body", body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/name", "/numbers"]),
        ({"name": "long", "numbers": [1]}, ["/name"]),
        ({"name": "a", "numbers": [1, "x", 2, None]}, ["/numbers/1", "/numbers/3"]),
        ({"name": "a", "numbers": 7}, ["/numbers"]),
        ([], ["/"]),
        ("text", ["/"]),
    ],
)
def test_fields_that_do_not_fit_are_pointed_at(api: APIClient, body: Any, pointers: list[str]) -> None:
    response = api.post("/api/body", body, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_fields")
    errors = response.json()["errors"]
    assert sorted(error["pointer"] for error in errors) == pointers
    assert all(error["detail"] and error["code"] for error in errors)


def test_wrong_host_is_a_problem() -> None:
    response = APIClient(HTTP_HOST="evil.example").get("/api/page")
    assert (response.status_code, response.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("handler", "status"),
    [
        (lambda request: problems.bad_request(request, ValueError()), 400),
        (lambda request: problems.permission_denied(request, ValueError()), 403),
        (lambda request: problems.page_not_found(request, ValueError()), 404),
        (problems.server_error, 500),
    ],
)
def test_handlers_answer_pages_with_pages(handler: Any, status: int) -> None:
    page = handler(RequestFactory().get("/page"))
    problem = handler(RequestFactory().get("/api/page"))
    assert page.status_code == problem.status_code == status
    assert page["Content-Type"].startswith("text/html")
    assert problem["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("", 200, (10, 0, 10)),
        ("?limit=3&offset=4", 200, (3, 4, 3)),
        ("?limit=5000", 200, (20, 0, 20)),
        ("?offset=95", 200, (10, 95, 5)),
        ("?offset=1000", 200, (10, 1000, 0)),
        ("?model=x", 200, (10, 0, 10)),
        ("?limit=0", 400, "invalid_parameter"),
        ("?limit=-1", 400, "invalid_parameter"),
        ("?limit=1.5", 400, "invalid_parameter"),
        ("?limit=%D9%A1", 400, "invalid_parameter"),
        ("?limit=99999999999999999999", 400, "invalid_parameter"),
        ("?offset=x", 400, "invalid_parameter"),
        ("?limit=1&limit=2", 400, "invalid_parameter"),
        ("?page=2", 400, "unknown_parameter"),
    ],
)
def test_pages(api: APIClient, query: str, status: int, expected: Any) -> None:
    response = api.get(f"/api/page{query}")
    assert response.status_code == status
    body = response.json()
    if status == 400:
        assert body["code"] == expected
    else:
        limit, offset, count = expected
        assert (body["limit"], body["offset"], body["total"]) == (limit, offset, 100)
        assert body["numbers"] == list(range(offset, offset + count))
