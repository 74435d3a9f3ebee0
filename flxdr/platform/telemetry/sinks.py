"""Where telemetry events go: files (`local`), Kafka, or Huawei ROMA MQ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
from django.conf import settings

from flxdr.core.errors import Misconfigured, Unavailable
from flxdr.platform.storage.files import ensure_private_folder

Event = dict[str, Any]
TOPIC = "flxdr.events"
TIMEOUT_SECONDS = 10.0


class SinkUnavailable(Unavailable):
    """The sink did not confirm the events; they stay in the outbox."""

    code = "telemetry_unavailable"


class Sink(Protocol):
    def send(self, events: Sequence[Event]) -> None:
        """Deliver all events; returning means that the sink has them safely.

        Raises:
            SinkUnavailable: some may have arrived, so all are sent again.
        """
        ...


class LocalSink:
    """JSON lines in one file a day, on the disk when `send` returns."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, events: Sequence[Event]) -> None:
        by_day: dict[str, list[bytes]] = {}
        for event in events:
            by_day.setdefault(event["at"][:10], []).append(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
        try:
            ensure_private_folder(self.folder)
            for day, lines in by_day.items():
                _append(self.folder / f"events-{day}.jsonl", b"".join(lines))
        except OSError as error:
            raise SinkUnavailable(f"{self.folder} cannot be written: {error}") from error


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


class RomaSink:
    """Huawei ROMA MQ over HTTP: one JSON document of events a batch, with a bearer token."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self.client = httpx.Client(
            headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT_SECONDS, transport=transport
        )

    def send(self, events: Sequence[Event]) -> None:
        try:
            self.client.post(self.url, json={"topic": TOPIC, "events": list(events)}).raise_for_status()
        except httpx.HTTPError as error:
            raise SinkUnavailable(f"ROMA MQ did not take the events: {error}") from error


class KafkaSink:
    """Kafka: one message an event, keyed by its subject so that a round's events keep their order."""

    def __init__(self, producer: Any) -> None:
        self.producer = producer

    @classmethod
    def connect(cls, brokers: Sequence[str]) -> KafkaSink:
        """A sink over `confluent-kafka`.

        Raises:
            Misconfigured: the package is not installed.
        """
        try:
            from confluent_kafka import Producer  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 - optional
        except ImportError as error:
            raise Misconfigured(
                "TELEMETRY_BACKEND=kafka needs the package confluent-kafka",
                action="Install confluent-kafka, or set TELEMETRY_BACKEND=local.",
            ) from error
        timeout = int(TIMEOUT_SECONDS * 1000)
        return cls(
            Producer(
                {
                    "bootstrap.servers": ",".join(brokers),
                    "enable.idempotence": True,
                    "acks": "all",
                    "message.timeout.ms": timeout,
                }
            )
        )

    def send(self, events: Sequence[Event]) -> None:
        failures: list[str] = []

        def delivered(error: object, message: object) -> None:
            if error is not None:
                failures.append(str(error))

        try:
            for event in events:
                self.producer.produce(
                    TOPIC, key=event["subject"].encode(), value=orjson.dumps(event), on_delivery=delivered
                )
        except BufferError as error:
            raise SinkUnavailable(f"Kafka's queue is full: {error}") from error
        unconfirmed = self.producer.flush(TIMEOUT_SECONDS + 1)
        if failures or unconfirmed:
            reason = failures[0] if failures else "no answer in time"
            raise SinkUnavailable(f"Kafka did not confirm {len(failures) + unconfirmed} events: {reason}")


def configured_sink() -> Sink:
    """The sink of `TELEMETRY_BACKEND`."""
    env = settings.FLXDR
    if env.telemetry_backend == "roma":
        if not (env.roma_mq_url and env.roma_mq_token):
            raise Misconfigured("TELEMETRY_BACKEND=roma needs ROMA_MQ_URL and ROMA_MQ_TOKEN")
        return RomaSink(env.roma_mq_url, env.roma_mq_token)
    if env.telemetry_backend == "kafka":
        return KafkaSink.connect(env.telemetry_kafka_brokers)
    return LocalSink(env.data_dir / "telemetry")
