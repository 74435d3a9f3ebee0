"""What only a real server shows: bodies that lie about their length, are never sent, or are far too large."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.processes import API, Coordinator, eventually

pytestmark = pytest.mark.xdist_group("api-over-http")
SUBMIT = f"{API}/federation/round/submit-gradient"
GIGABYTE = 10**9


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    folder: Path = tmp_path_factory.mktemp("api-over-http")
    with Coordinator(folder / "data") as running:
        yield running


@pytest.fixture(scope="module")
def token(coordinator: Coordinator) -> str:
    for org_id in ("org-alpha", "org-beta"):
        body = {"org_id": org_id, "org_name": org_id}
        httpx.post(f"{coordinator.url}{API}/federation/register", json=body).raise_for_status()
    return coordinator.manage("issue_token", "org-alpha").stdout.splitlines()[-1]


def exchange(coordinator: Coordinator, headers: dict[str, str], body: bytes, *, end: bool = False) -> tuple[int, Any]:
    """Send a request as given, `end` closes our side after it; status and problem of the answer."""
    lines = [f"POST {SUBMIT} HTTP/1.1", f"Host: localhost:{coordinator.port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", coordinator.port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        if end:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, content = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(content) if content.startswith(b"{") else content


def headers_for(token: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **more}


def test_a_gigabyte_is_refused_before_it_is_sent(coordinator: Coordinator, token: str) -> None:
    status, problem = exchange(coordinator, headers_for(token, **{"Content-Length": str(GIGABYTE)}), b"{", end=True)
    assert (status, problem["code"]) == (413, "too_large")
    assert problem["limit_bytes"] == 256 * 2**20


def web_memory(coordinator: Coordinator) -> int:
    """Bytes that the web's processes hold."""
    pid = coordinator.pid("web")
    assert pid is not None
    web = psutil.Process(pid)
    return sum(process.memory_info().rss for process in [web, *web.children(recursive=True)])


def test_a_large_body_that_is_sent_all_the_same_fills_no_memory(coordinator: Coordinator, token: str) -> None:
    before = web_memory(coordinator)
    size, block = 300 * 2**20, b"1" * 2**20
    request = (
        f"POST {SUBMIT} HTTP/1.1\r\nHost: localhost:{coordinator.port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", coordinator.port), timeout=30) as connection:
        connection.sendall(request.encode())
        answer = connection.recv(65536)
        try:
            for _ in range(size // len(block)):
                connection.sendall(block)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server may hang up on what it refused
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert web_memory(coordinator) - before < 64 * 2**20
    assert coordinator.answers()


def test_a_chunked_body_needs_a_length(coordinator: Coordinator, token: str) -> None:
    chunked = headers_for(token, **{"Transfer-Encoding": "chunked"})
    status, problem = exchange(coordinator, chunked, b"2\r\n{}\r\n0\r\n\r\n")
    assert (status, problem["code"]) == (411, "length_required")


def test_two_lengths_are_refused(coordinator: Coordinator, token: str) -> None:
    both = headers_for(token, **{"Transfer-Encoding": "chunked", "Content-Length": "2"})
    status, _ = exchange(coordinator, both, b"2\r\n{}\r\n0\r\n\r\n")
    assert 400 <= status < 500


def test_no_body_at_all_needs_a_length(coordinator: Coordinator, token: str) -> None:
    status, problem = exchange(coordinator, headers_for(token), b"")
    assert (status, problem["code"]) == (411, "length_required")


def test_a_body_that_ends_early_is_refused(coordinator: Coordinator, token: str) -> None:
    status, problem = exchange(
        coordinator, headers_for(token, **{"Content-Length": "1000"}), b'{"round_id": "round-1"', end=True
    )
    assert (status, problem["code"]) == (400, "body_truncated")


@pytest.mark.parametrize("length", ["-1", "ten", "1e3", "2, 2"])
def test_a_length_that_is_none_is_refused(coordinator: Coordinator, token: str, length: str) -> None:
    status, _ = exchange(coordinator, headers_for(token, **{"Content-Length": length}), b"{}")
    assert 400 <= status < 500


def test_the_guides_walk_through_with_a_worker(coordinator: Coordinator, token: str) -> None:
    tokens = {"org-alpha": token, "org-beta": coordinator.manage("issue_token", "org-beta").stdout.splitlines()[-1]}
    with httpx.Client(base_url=f"{coordinator.url}{API}/", timeout=30) as curl:
        fields = {"round_number": 1, "aggregation_method": "FedProx", "min_orgs_required": 2}
        round_id = curl.post("federation/round/start", json=fields).raise_for_status().json()["round_id"]
        for org_id, bearer in tokens.items():
            gradient = {"model_weights": [[0.1, 0.2], [0.3, 0.4]], "shape": [2, 2], "samples_seen": 2048}
            body = {"round_id": round_id, "org_id": org_id, "gradient": gradient, "metrics": {"loss": 0.42}}
            accepted = curl.post(
                "federation/round/submit-gradient", json=body, headers={"Authorization": f"Bearer {bearer}"}
            )
            assert (accepted.status_code, accepted.json()["status"]) == (201, "accepted")
        status = f"federation/round/{round_id}/status"
        eventually(lambda: curl.get(status).json()["status"] == "completed", what="the round completes")
        assert curl.get("federation/status").json()["global_model_version"] == "v1"
        verified = curl.get("blockchain/ledger/verify").json()
        assert (verified["chain_valid"], verified["blocks_verified"]) == (True, 2)
