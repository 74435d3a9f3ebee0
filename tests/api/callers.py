"""Who calls the API in the tests: strangers, the machine's own user, operators, organisations."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.test import Client

from flxdr.core.clock import SystemClock
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import OPERATOR, ORGANIZATION, issue_token, sign_own_token
from flxdr.platform.identity import coordinator_key

PREFIX = "/api/fl-blockchain/"
ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "testserver"}
THIS_MACHINE = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


class Caller:
    """Sends requests with one identity."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._client = Client(raise_request_exception=True)
        self._environ = environ

    def environ(self) -> dict[str, Any]:
        return self._environ

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: Any) -> Any:
        return self._client.get(PREFIX + path, query, **self.environ(), **headers)

    def post(self, path: str, body: Any = None, **headers: Any) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        return self.send(path, data, "application/json", **headers)

    def send(self, path: str, body: bytes, content_type: str, **headers: Any) -> Any:
        return self._client.generic("POST", PREFIX + path, body, content_type, **self.environ(), **headers)


class SelfSigning(Caller):
    """An organisation that signs a fresh token for every request."""

    def __init__(self, org_id: str, key: PrivateKey) -> None:
        super().__init__(ELSEWHERE)
        self.org_id, self.key = org_id, key

    def environ(self) -> dict[str, Any]:
        token = sign_own_token(org_id=self.org_id, key=self.key)
        return super().environ() | {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def stranger() -> Caller:
    """Somebody on the network without a token."""
    return Caller(ELSEWHERE)


def own_user() -> Caller:
    """A program on the coordinator's machine, without a token: an operator in development."""
    return Caller(THIS_MACHINE)


def bearer(token: str) -> Caller:
    return Caller(ELSEWHERE | {"HTTP_AUTHORIZATION": f"Bearer {token}"})


def issued(subject: str, role: str, *, age: timedelta = timedelta(0)) -> str:
    """A token from the coordinator, good for a day from when it was issued, `age` ago."""
    return issue_token(
        key=coordinator_key(),
        subject=subject,
        role=role,
        lifetime=timedelta(days=1),
        now=SystemClock().now() - age,
    )


def operator() -> Caller:
    return bearer(issued("olivia", OPERATOR))


def organization(org_id: str) -> Caller:
    return bearer(issued(org_id, ORGANIZATION))


def refuse_with(response: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document, once it is one of that status and code."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "code", "detail"} <= set(problem)
    assert problem["status"] == status
    assert problem["detail"]
    if code is not None:
        assert problem["code"] == code
        assert problem["type"] == f"urn:flxdr:error:{code}"
    return problem
