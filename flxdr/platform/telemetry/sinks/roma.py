"""Telemetry to Huawei ROMA MQ: one JSON document a batch, posted with a bearer token."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import orjson

from flxdr.platform.telemetry.sinks.interface import SEND_SECONDS, Event, EventsRefused, SinkUnavailable

_OF_THE_EVENTS = frozenset({400, 413, 422})
"""Answers that blame what was sent. Every other one blames the sink, its address or the token: waiting may help."""


class RomaSink:
    """Posts to `url`; follows no redirect and reads nothing of an answer but its status."""

    def __init__(self, *, url: str, token: str, topic: str, seconds: float = SEND_SECONDS) -> None:
        self.url = url
        self.topic = topic
        self._seconds = seconds
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def send(self, events: Sequence[Event]) -> None:
        body = orjson.dumps({"topic": self.topic, "events": list(events)})
        try:
            status = self._post(body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise SinkUnavailable(f"ROMA MQ did not take the events: {reason}") from error
        if status in _OF_THE_EVENTS:
            raise EventsRefused(f"ROMA MQ answered {status}")
        if not 200 <= status < 300:
            raise SinkUnavailable(f"ROMA MQ answered {status}")

    def _post(self, body: bytes) -> int:
        with (
            httpx.Client(timeout=self._seconds, follow_redirects=False) as client,
            _deadline(self._seconds) as trace,
            client.stream("POST", self.url, content=body, headers=self._headers, extensions={"trace": trace}) as answer,
        ):
            return answer.status_code


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[Any]:
    """Ends the connection after `seconds`: httpx bounds each read, so that a byte now and then would hold it for ever.

    Yields what httpx calls with every step of the exchange.
    """
    connections: list[socket.socket] = []

    def trace(step: str, details: dict[str, Any]) -> None:
        if step == "connection.connect_tcp.complete":
            # A second handle: TLS takes the first one over.
            connections.append(details["return_value"].get_extra_info("socket").dup())

    def end() -> None:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield trace
    finally:
        timer.cancel()
        timer.join()
        for connection in connections:
            connection.close()
