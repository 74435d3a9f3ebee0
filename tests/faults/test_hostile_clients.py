"""Clients that connect and say nothing, or too little, too slowly, too much: everybody else is served meanwhile."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.report import Note
from tests.support.processes import API, Coordinator

PATIENCE = 10.0
"""Seconds within which somebody else's request must be answered, on a machine that does other things as well."""
GROWTH = 96 * 2**20
REQUESTS = 20


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with Coordinator(folder / "data") as running:
        yield running


@contextlib.contextmanager
def connections(coordinator: Coordinator, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that have sent `first`, open until the end."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", coordinator.port), timeout=30))
            if first:
                connection.sendall(first)
            opened.append(connection)
        yield opened


def web_memory(coordinator: Coordinator) -> int:
    """Bytes that the web's processes hold."""
    pid = coordinator.pid("web")
    assert pid is not None
    web = psutil.Process(pid)
    return sum(process.memory_info().rss for process in [web, *web.children(recursive=True)])


def latencies(coordinator: Coordinator) -> list[float]:
    """Seconds that somebody else waits for each of some answers, every one over a connection of its own."""
    taken = []
    for _ in range(REQUESTS):
        begin = time.monotonic()
        assert httpx.get(f"{coordinator.url}{API}/health", timeout=120).status_code == 200
        taken.append(time.monotonic() - begin)
    return sorted(taken)


def post(length: int | str, headers: str = "") -> bytes:
    """The head of a registration with a body of so many bytes."""
    return (
        f"POST {API}/federation/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n{headers}\r\n"
    ).encode()


ATTACKS = {
    "idle": (1000, b""),
    "half-a-head": (300, b"GET /api/fl-blockchain/health HTTP/1.1\r\nHost: local"),
    "head-and-no-body": (300, post(1000)),
    "large-body-never-sent": (300, post(10**9)),
    "answer-never-closed": (
        300,
        b"GET /api/fl-blockchain/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ),
    "unknown-token-and-no-body": (
        300,
        post(200_000, "Authorization: Bearer nonsense\r\n").replace(b"register", b"round/submit-gradient"),
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_everybody_else_is_served(coordinator: Coordinator, attack: str, note: Note) -> None:
    count, first = ATTACKS[attack]
    latencies(coordinator)  # warm
    before = web_memory(coordinator)
    with connections(coordinator, count, first):
        taken = latencies(coordinator)
        grown = web_memory(coordinator) - before
    note(requests=REQUESTS, latency_p50=taken[len(taken) // 2], latency_max=taken[-1], memory_growth=grown)
    assert taken[-1] < PATIENCE
    assert grown < GROWTH
    assert coordinator.answers()
