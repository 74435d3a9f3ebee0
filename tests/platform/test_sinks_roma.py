"""The ROMA MQ sink against HTTP servers that answer, refuse, dawdle, talk nonsense and hang up."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from flxdr.platform.telemetry.sinks.interface import EventsRefused, SinkUnavailable
from flxdr.platform.telemetry.sinks.roma import RomaSink
from tests.platform.events import event
from tests.support.processes import free_port

Answer = Callable[[socket.socket, threading.Event], None]


@contextmanager
def server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[tuple[RomaSink, list[bytes]]]:
    """A sink that posts to a server which reads one request a connection and then does `answer`; the requests."""
    requests: list[bytes] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not over.is_set():
                plain, _ = listener.accept()
                with plain, suppress(OSError), _secured(plain, tls) as connection:
                    if request := _request(connection):
                        requests.append(request)
                        answer(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            scheme = "https" if tls else "http"
            yield RomaSink(url=f"{scheme}://127.0.0.1:{port}/mq", token="secret", topic="soc", seconds=0.5), requests
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join(10)
            assert not thread.is_alive()


def _secured(connection: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return tls.wrap_socket(connection, server_side=True) if tls else connection.dup()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        head, found, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if found and len(body) >= int(lengths[0].split(b":")[1]):
            return data
    return b""


def status(code: int, *headers: str, body: str = "") -> Answer:
    lines = (f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", *headers, "", body)
    return lambda connection, over: connection.sendall("\r\n".join(lines).encode())


def raw(data: bytes) -> Answer:
    return lambda connection, over: connection.sendall(data)


def byte_by_byte(connection: socket.socket, over: threading.Event) -> None:
    """Headers without an end: no single read takes long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not over.wait(0.05):
        connection.sendall(b"x")


def endless(connection: socket.socket, over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not over.is_set():
        connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def test_one_document_with_the_token() -> None:
    with server(status(202)) as (sink, requests):
        sink.send([event(1), event(2)])
        sink.send([event(3)])
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert b"Authorization: Bearer secret" in head
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"topic": "soc", "events": [event(1), event(2)]}
    assert len(requests) == 2


@pytest.mark.parametrize("code", [400, 413, 422])
def test_it_will_not_have_these_events(code: int) -> None:
    with server(status(code)) as (sink, _), pytest.raises(EventsRefused, match=str(code)):
        sink.send([event(1)])


@pytest.mark.parametrize("code", [401, 403, 404, 405, 408, 429, 500, 503])
def test_the_sink_is_at_fault(code: int) -> None:
    with server(status(code)) as (sink, _), pytest.raises(SinkUnavailable, match=str(code)):
        sink.send([event(1)])


@pytest.mark.parametrize("code", [301, 307, 308])
def test_no_redirect_is_followed(code: int) -> None:
    with server(status(200)) as (elsewhere, stolen):
        with (
            server(status(code, f"Location: {elsewhere.url}")) as (sink, _),
            pytest.raises(SinkUnavailable, match="30"),
        ):
            sink.send([event(1)])
        assert stolen == []


@pytest.mark.parametrize(
    "answer",
    [
        raw(b""),
        raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw(b"HTTP/1.1 200"),
        raw(b"HTTP/1.1 abc OK\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n"),
        byte_by_byte,
        lambda connection, over: over.wait(30),
    ],
    ids=["hangs up", "another protocol", "half an answer", "no status", "huge header", "byte by byte", "silent"],
)
def test_nonsense_and_silence_end_in_time(answer: Answer) -> None:
    begin = time.monotonic()
    with server(answer) as (sink, _), pytest.raises(SinkUnavailable):
        sink.send([event(1)])
    assert time.monotonic() - begin < 5


def test_of_a_long_answer_only_the_status_is_read() -> None:
    begin = time.monotonic()
    with server(endless) as (sink, _):
        sink.send([event(1)])
        assert time.monotonic() - begin < 0.5


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's certificate of an authority that this process trusts."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return context


def test_over_tls(tls: ssl.SSLContext) -> None:
    with server(status(200), tls) as (sink, requests):
        sink.send([event(1)])
    assert len(requests) == 1


def test_over_tls_byte_by_byte(tls: ssl.SSLContext) -> None:
    begin = time.monotonic()
    with server(byte_by_byte, tls) as (sink, _), pytest.raises(SinkUnavailable):
        sink.send([event(1)])
    assert time.monotonic() - begin < 5


def test_an_authority_that_nobody_trusts(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        server(status(200), tls) as (sink, requests),
        pytest.raises(SinkUnavailable, match="VERIFY_FAILED"),
    ):
        sink.send([event(1)])
    assert requests == []


def test_nobody_listens() -> None:
    sink = RomaSink(url=f"http://127.0.0.1:{free_port()}", token="t", topic="soc", seconds=0.5)
    with pytest.raises(SinkUnavailable, match="refused"):
        sink.send([event(1)])
