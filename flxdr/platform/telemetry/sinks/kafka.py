"""Telemetry to Kafka: one message an event, keyed by its stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer

from flxdr.core.errors import Misconfigured
from flxdr.platform.telemetry.sinks.interface import SEND_SECONDS, Event, EventsRefused, SinkUnavailable

_OF_THE_EVENT = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD})
_CONSEQUENCES = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._FATAL})


class KafkaSink:
    """Keeps one producer for as long as it delivers, and begins with a new one after a failure.

    Order: the producer is idempotent and gapless, a message that cannot be delivered stops it, and messages have no
    time-out of their own. So no event of a stream overtakes an earlier one that failed.

    Args:
        brokers: `host:port` of some brokers.
        properties: further properties of librdkafka, such as those of TLS and SASL.
        seconds: how long a batch may take.
    """

    def __init__(
        self, *, brokers: Sequence[str], topic: str, properties: Mapping[str, str], seconds: float = SEND_SECONDS
    ) -> None:
        self.topic = topic
        self._seconds = seconds
        self._configuration = producer_configuration(properties) | {"bootstrap.servers": ",".join(brokers)}
        self._producer: Producer | None = None
        self._trouble = ""

    def send(self, events: Sequence[Event]) -> None:
        failures: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: object) -> None:
            if error is not None:
                failures.append(error)

        producer = self._connected()
        unconfirmed = len(events)
        try:
            for event in events:
                producer.produce(
                    self.topic, key=event["stream"].encode(), value=orjson.dumps(event), on_delivery=delivered
                )
            unconfirmed = producer.flush(self._seconds)
        except KafkaException as error:
            failures.append(error.args[0])
        except BufferError:
            failures.append(KafkaError(KafkaError._QUEUE_FULL))
        if failures or unconfirmed:
            self._give_up(producer)
            raise self._failure(failures)

    def _connected(self) -> Producer:
        if self._producer is None:
            self._trouble = ""
            self._producer = Producer({**self._configuration, "error_cb": self._note_trouble})
        return self._producer

    def _note_trouble(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._trouble:
            self._trouble = error.str()

    def _give_up(self, producer: Producer) -> None:
        """Forget what is not confirmed: all of it is sent again, in order, by another producer."""
        self._producer = None
        with suppress(KafkaException):  # the gap that this leaves, of which the producer dies
            producer.purge()
            producer.flush(1.0)

    def _failure(self, failures: Sequence[KafkaError]) -> SinkUnavailable | EventsRefused:
        for error in failures:
            if error.code() in _OF_THE_EVENT:
                return EventsRefused(f"Kafka: {error.str()}")
        causes = [error.str() for error in failures if error.code() not in _CONSEQUENCES]
        reason = causes[0] if causes else self._trouble or "no answer"
        return SinkUnavailable(f"Kafka did not confirm the events: {reason}")


def producer_configuration(properties: Mapping[str, str]) -> dict[str, Any]:
    """The producer's properties without the brokers: the operator's, and those on which order and safety rest."""
    return {
        **properties,
        "acks": "all",
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,
        "message.timeout.ms": 0,  # none: the batch has one
        "socket.timeout.ms": int(SEND_SECONDS * 1000),
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.propagation.max.ms": 2000,  # a topic that does not exist is told soon
        "log_level": 0,  # the outbox keeps the reason of a failure, once
    }


def check_properties(properties: Mapping[str, str]) -> None:
    """Let librdkafka read the properties, and the files of certificates that they name; connects to nothing.

    Raises:
        Misconfigured: saying what it will not have.
    """
    try:
        Producer(producer_configuration(properties))
    except KafkaException as error:
        raise Misconfigured(f"TELEMETRY_KAFKA_PROPERTIES: {error.args[0].str()}") from error
