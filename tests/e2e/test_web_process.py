"""A web process serves everybody while some clients take their time."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.support.processes import free_port
from tests.support.web import running_web

CLIENTS = 12
_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def read_to_the_end(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(4096), b""))


def test_clients_that_do_not_hang_up_hold_up_nobody(tmp_path: Path) -> None:
    port = free_port()
    with running_web(tmp_path / "state", {}, binds=[f"127.0.0.1:{port}"]), ExitStack() as open_clients:
        for _ in range(CLIENTS):
            client = open_clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client.sendall(_REQUEST)
            assert read_to_the_end(client).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        assert httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
        assert time.monotonic() - begun < 2, "less than what gunicorn waits for the first of them"


def test_a_kept_connection_serves_again(tmp_path: Path) -> None:
    port = free_port()
    with (
        running_web(tmp_path / "state", {}, binds=[f"127.0.0.1:{port}"]),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        streams = set()
        for _ in range(5):
            answer = client.get("/healthz")
            assert answer.status_code == 200
            streams.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
        assert len(streams) == 1
