"""Each sink delivers, or says that it did not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flxdr.core.errors import Misconfigured
from flxdr.platform.telemetry.sinks import (
    TOPIC,
    Event,
    KafkaSink,
    LocalSink,
    RomaSink,
    SinkUnavailable,
    configured_sink,
)


def event(number: int, day: str = "2026-01-01") -> Event:
    return {"id": number, "kind": "k", "actor": "a", "subject": f"r-{number}", "at": f"{day}T00:00:00Z", "data": {}}


def test_local_sink_appends_a_file_a_day(tmp_path: Path) -> None:
    sink = LocalSink(tmp_path / "telemetry")
    sink.send([event(1), event(2, "2026-01-02")])
    sink.send([event(3)])
    files = {path.name: path.read_text().splitlines() for path in (tmp_path / "telemetry").iterdir()}
    assert {name: [json.loads(line)["id"] for line in lines] for name, lines in files.items()} == {
        "events-2026-01-01.jsonl": [1, 3],
        "events-2026-01-02.jsonl": [2],
    }


def test_local_sink_that_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "telemetry").write_text("a file where the folder should be")
    with pytest.raises(SinkUnavailable):
        LocalSink(tmp_path / "telemetry").send([event(1)])


class RomaServer(HTTPServer):
    """A message queue over HTTP that answers with `answer`."""

    answer = 200
    requests: list[tuple[str | None, dict[str, Any]]]


class RomaHandler(BaseHTTPRequestHandler):
    server: RomaServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.headers["Authorization"], body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""


@pytest.fixture
def roma() -> Iterator[RomaServer]:
    server = RomaServer(("127.0.0.1", 0), RomaHandler)
    server.requests = []
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_roma_sink_posts_with_its_token(roma: RomaServer) -> None:
    RomaSink(f"http://127.0.0.1:{roma.server_port}/mq", "secret").send([event(1), event(2)])
    assert roma.requests == [("Bearer secret", {"topic": TOPIC, "events": [event(1), event(2)]})]


@pytest.mark.parametrize("answer", [401, 404, 500, 503])
def test_roma_sink_that_is_refused(roma: RomaServer, answer: int) -> None:
    roma.answer = answer
    with pytest.raises(SinkUnavailable, match=str(answer)):
        RomaSink(f"http://127.0.0.1:{roma.server_port}/mq", "secret").send([event(1)])


def test_roma_sink_without_a_server(roma: RomaServer) -> None:
    roma.shutdown()
    roma.server_close()
    with pytest.raises(SinkUnavailable):
        RomaSink(f"http://127.0.0.1:{roma.server_port}/mq", "secret").send([event(1)])


class Producer:
    """The part of confluent-kafka's producer that the sink uses."""

    def __init__(self, *, errors: tuple[str | None, ...] = (), lost: int = 0, room: int = 100) -> None:
        self.errors, self.lost, self.room = errors, lost, room
        self.messages: list[tuple[str, bytes, Any]] = []
        self.callbacks: list[Any] = []

    def produce(self, topic: str, *, key: bytes, value: bytes, on_delivery: Any) -> None:
        if len(self.messages) == self.room:
            raise BufferError("queue full")
        self.messages.append((topic, key, json.loads(value)))
        self.callbacks.append(on_delivery)

    def flush(self, timeout: float) -> int:
        for error, callback in zip(self.errors, self.callbacks, strict=False):
            callback(error, None)
        return self.lost


def test_kafka_sink_keys_events_by_their_subject() -> None:
    producer = Producer(errors=(None, None))
    KafkaSink(producer).send([event(1), event(2)])
    assert producer.messages == [(TOPIC, b"r-1", event(1)), (TOPIC, b"r-2", event(2))]


@pytest.mark.parametrize(
    "producer",
    [Producer(errors=(None, "timed out")), Producer(lost=1), Producer(room=1)],
    ids=["error", "lost", "full"],
)
def test_kafka_sink_that_is_not_confirmed(producer: Producer) -> None:
    with pytest.raises(SinkUnavailable):
        KafkaSink(producer).send([event(1), event(2)])


def test_kafka_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(Misconfigured, match="confluent-kafka"):
        KafkaSink.connect(["localhost:9092"])


def test_configured_sink(env: Any, data_dir: Path) -> None:
    local = configured_sink()
    assert isinstance(local, LocalSink)
    assert local.folder == data_dir / "telemetry"
    env(telemetry_backend="roma", roma_mq_url="https://mq.example.org", roma_mq_token="t")
    roma_sink = configured_sink()
    assert isinstance(roma_sink, RomaSink)
    assert roma_sink.url == "https://mq.example.org"
