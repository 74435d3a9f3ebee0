"""HTTP: fresh tokens, bounded retries, problem details, bounded answers, the protocol's version."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from federation.agent.client import Backoff, Coordinator
from federation.agent.errors import CheckFailed, ExitCode, ProtocolMismatch, Refused, Unreachable
from flxdr.core.clock import ManualClock

Handler = Callable[[httpx.Request], httpx.Response]


def coordinator(handler: Handler, pauses: list[float] | None = None, attempts: int = 4) -> Coordinator:
    numbers = itertools.count()
    return Coordinator(
        url="http://c.example/",
        sign_token=lambda: f"token-{next(numbers)}",
        transport=httpx.MockTransport(handler),
        backoff=Backoff(attempts=attempts, first=1.0, longest=3.0),
        pause=(pauses if pauses is not None else []).append,
        rng=random.Random(1),
        clock=ManualClock(),
    )


def test_a_write_is_retried_with_the_same_bytes_and_a_fresh_token() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if len(seen) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(503 if len(seen) == 2 else 200, json={"ok": True})

    pauses: list[float] = []
    with coordinator(handler, pauses) as client:
        assert client.post_bytes("x", b"body", {"Submission-Statement": "s"}) == {"ok": True}

    assert [request.content for request in seen] == [b"body"] * 3
    assert [request.headers["Authorization"] for request in seen] == [f"Bearer token-{n}" for n in range(3)]
    assert {request.headers["Flxdr-Protocol"] for request in seen} == {"1"}
    assert 0.5 <= pauses[0] <= 1.0 < pauses[1] <= 2.0


def test_it_gives_up_after_its_attempts() -> None:
    pauses: list[float] = []
    with coordinator(lambda _: httpx.Response(502), pauses) as client, pytest.raises(Unreachable) as caught:
        client.get("x")
    assert len(pauses) == 3
    assert max(pauses) <= 3.0
    assert caught.value.exit_code == ExitCode.UNREACHABLE


def test_retry_after_is_obeyed_up_to_a_limit() -> None:
    answers = iter(
        [httpx.Response(429, headers={"Retry-After": "2"}), httpx.Response(429, headers={"Retry-After": "900"})]
    )
    pauses: list[float] = []
    with coordinator(lambda _: next(answers, httpx.Response(200, json={})), pauses) as client:
        client.get("x")
    assert 2.0 <= pauses[0] <= 2.5
    assert 3.0 <= pauses[1] <= 3.75
    assert pauses[0] != pauses[1] * 2 / 3, "each a little later, by chance"


def test_a_poll_without_a_place_waits_as_it_is_asked() -> None:
    answers = iter([httpx.Response(204, headers={"Retry-After": "2"}), httpx.Response(204)])
    pauses: list[float] = []
    with coordinator(lambda _: next(answers, httpx.Response(200, json={"round": None})), pauses) as client:
        assert [client.poll("x", {"wait": 25}) for _ in range(3)] == [None, None, {"round": None}]
    assert 2.0 <= pauses[0] <= 2.5
    assert pauses[1:] == [0.0]


def test_nothing_else_may_be_answered_without_content() -> None:
    with coordinator(lambda _: httpx.Response(204)) as client, pytest.raises(CheckFailed, match="is empty"):
        client.get("x")


def test_a_refusal_is_not_retried_and_carries_its_problem() -> None:
    problem = {"detail": "no", "expected": "yes", "action": "ask", "code": "round_closed"}
    seen: list[Any] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(409, json=problem)

    with coordinator(handler) as client, pytest.raises(Refused) as caught:
        client.get("x")
    assert len(seen) == 1
    assert (caught.value.http_status, caught.value.problem_code) == (409, "round_closed")
    assert (caught.value.expected, caught.value.action) == ("yes", "ask")
    assert caught.value.exit_code == ExitCode.REFUSED


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"text"', b""])
def test_an_answer_that_is_no_json_object_is_refused(body: bytes) -> None:
    with coordinator(lambda _: httpx.Response(200, content=body)) as client, pytest.raises(CheckFailed):
        client.get("x")


def test_a_refusal_without_a_problem_document_is_still_one() -> None:
    with coordinator(lambda _: httpx.Response(404, content=b"<html>")) as client, pytest.raises(Refused, match="404"):
        client.get("x")


def test_a_body_beyond_the_limit_is_refused() -> None:
    with coordinator(lambda _: httpx.Response(200, content=bytes(1001))) as client:
        assert len(client.get_bytes("x", limit=1001)) == 1001
        with pytest.raises(CheckFailed, match="longer than 1000"):
            client.get_bytes("x", limit=1000)


@pytest.mark.parametrize(
    "answer", [{}, {"protocol_version": None}, {"protocol_version": 2}, {"protocol_version": "1.1"}]
)
def test_another_protocol_is_refused(answer: dict[str, Any]) -> None:
    with coordinator(lambda _: httpx.Response(200, json=answer)) as client, pytest.raises(ProtocolMismatch) as caught:
        client.check_protocol()
    assert caught.value.exit_code == ExitCode.PROTOCOL


def test_the_protocol_is_asked_for_without_a_token() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        assert request.url.path == "/api/fl-blockchain/info"
        return httpx.Response(200, json={"protocol_version": 1})

    with coordinator(handler) as client:
        client.check_protocol()
