"""Clients that connect and say nothing, or too little, too slowly, too much: everybody else is served meanwhile.

As in production: nginx waits for whole requests (`deploy/nginx`), and gunicorn's threads are behind it.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
import trustme

from tests.faults.report import Note
from tests.support.nginx import Proxy, running_nginx, speaking_tls
from tests.support.processes import API, free_port
from tests.support.web import production_environment, running_web

MAX_SUBMISSION_BYTES = 2 * 10**9
PATIENCE = 10.0
"""Seconds within which somebody else's request must be answered, on a machine that does other things as well."""
GROWTH = 96 * 2**20
REQUESTS = 20


@dataclass(frozen=True)
class Site:
    """A production coordinator behind nginx."""

    proxy: Proxy
    web: psutil.Process
    context: ssl.SSLContext

    @property
    def port(self) -> int:
        port = httpx.URL(self.proxy.https).port
        assert port is not None
        return port

    def answers(self) -> bool:
        with httpx.Client(verify=self.context, trust_env=False, timeout=120) as client:
            return client.get(f"{self.proxy.https}{API}/health").status_code == 200

    def web_memory(self) -> int:
        """Bytes that gunicorn's processes hold."""
        return sum(process.memory_info().rss for process in [self.web, *self.web.children(recursive=True)])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    authority = trustme.CA()
    server = authority.issue_cert("localhost")
    for name, pem in (("authority", authority.cert_pem), ("clients", authority.cert_pem),
                      ("server", server.cert_chain_pems[0])):  # fmt: skip
        pem.write_to_path(folder / f"{name}.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    environment = production_environment() | {
        "FL_BEHIND_PROXY": "true",
        "FL_MAX_SUBMISSION_BYTES": str(MAX_SUBMISSION_BYTES),
        "FL_THROTTLE_ADDRESS": "0",  # what is tried here is what nginx holds off
    }
    web_socket = folder / "web.sock"
    with (
        running_web(folder / "state", environment, binds=[f"127.0.0.1:{free_port()}", f"unix:{web_socket}"]) as web,
        running_nginx(folder, web_socket=web_socket, max_submission_bytes=MAX_SUBMISSION_BYTES) as proxy,
    ):
        yield Site(proxy, psutil.Process(web.pid), speaking_tls(folder / "authority.pem"))


@contextlib.contextmanager
def connections(site: Site, count: int, first: bytes | None) -> Iterator[None]:
    """Connections that have sent `first`, open until the end; without any, not even the handshake of TLS."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=30))
            if first is not None:
                secured = stack.enter_context(site.context.wrap_socket(plain, server_hostname="localhost"))
                secured.sendall(first)
        yield


def latencies(site: Site) -> list[float]:
    """Seconds that somebody else waits for each of some answers, every one over a connection of its own."""
    taken = []
    for _ in range(REQUESTS):
        begin = time.monotonic()
        assert site.answers()
        taken.append(time.monotonic() - begin)
    return sorted(taken)


def post(length: int | str, headers: str = "") -> bytes:
    """The head of a registration with a body of so many bytes."""
    return (
        f"POST {API}/federation/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n{headers}\r\n"
    ).encode()


ATTACKS: dict[str, tuple[int, bytes | None]] = {
    "no-handshake": (1000, None),
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
def test_everybody_else_is_served(site: Site, attack: str, note: Note) -> None:
    count, first = ATTACKS[attack]
    latencies(site)  # warm
    before = site.web_memory()
    with connections(site, count, first):
        taken = latencies(site)
        grown = site.web_memory() - before
    note(requests=REQUESTS, latency_p50=taken[len(taken) // 2], latency_max=taken[-1], memory_growth=grown)
    assert taken[-1] < PATIENCE
    assert grown < GROWTH
    assert site.answers()
