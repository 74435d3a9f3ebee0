"""A Kafka cluster for tests: librdkafka's own brokers, which speak the protocol over TCP and fail as they are told.

confluent-kafka has no Python calls for them, so the library that it carries is called directly.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import orjson
from confluent_kafka import Consumer, TopicPartition

BROKER = 1
_PRODUCE = 0  # the number of the request in the protocol
_PATIENCE = 0.2
_QUIET = 0.3
"""Seconds without a message after which nothing more is expected."""


@dataclass(frozen=True)
class Message:
    """What a consumer reads."""

    partition: int
    key: str
    event: dict[str, Any]


@dataclass(frozen=True)
class KafkaCluster:
    """One broker with one topic."""

    address: str
    topic: str
    partitions: int
    _library: ctypes.CDLL
    _cluster: ctypes.c_void_p

    def down(self) -> None:
        """Close every connection and take no new one."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, BROKER)

    def up(self) -> None:
        self._library.rd_kafka_mock_broker_set_up(self._cluster, BROKER)

    def slow(self, seconds: float) -> None:
        """Answer every request so much later."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, BROKER, int(seconds * 1000))

    def refuse(self, *errors: int) -> None:
        """Answer the next produce requests with these errors of the protocol."""
        codes = (ctypes.c_int * len(errors))(*errors)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(_PRODUCE), ctypes.c_size_t(len(errors)), codes
        )

    def refuse_topic(self, error: int) -> None:
        """Answer questions about the topic with this error; 0 ends it."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, self.topic.encode(), error)

    def messages(self, at_least: int, seconds: float = 20.0) -> list[Message]:
        """Everything that the topic holds, in order within each partition; waits until it is `at_least` so much."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "tests", "enable.auto.commit": False})
        try:
            consumer.assign([TopicPartition(self.topic, number, 0) for number in range(self.partitions)])
            found: list[Message] = []
            deadline = time.monotonic() + seconds
            while (message := consumer.poll(_QUIET if len(found) >= at_least else _PATIENCE)) or (
                len(found) < at_least and time.monotonic() < deadline
            ):
                if message is None:
                    continue
                assert message.error() is None, message.error()
                key, value, partition = message.key(), message.value(), message.partition()
                assert isinstance(key, bytes)
                assert isinstance(value, bytes)
                assert partition is not None
                found.append(Message(partition, key.decode(), orjson.loads(value)))
            return found
        finally:
            consumer.close()


@contextmanager
def kafka_cluster(topic: str = "flxdr.events", partitions: int = 4) -> Iterator[KafkaCluster]:
    """A cluster on free loopback ports."""
    library = _library()
    configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
    text = ctypes.create_string_buffer(512)
    library.rd_kafka_conf_set(configuration, b"log_level", b"0", text, ctypes.c_size_t(len(text)))
    handle = ctypes.c_void_p(library.rd_kafka_new(0, configuration, text, ctypes.c_size_t(len(text))))
    assert handle.value, text.value
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(handle, 1))
    try:
        assert library.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1) == 0
        address = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()
        yield KafkaCluster(address, topic, partitions, library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(handle)


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.with_name("confluent_kafka.libs")
    (path,) = folder.glob("librdkafka-*.so*")
    library = ctypes.CDLL(str(path))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library
