"""The Kafka sink against brokers that speak Kafka's protocol over TCP: up, down, slow, wrong, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from flxdr.core.errors import Misconfigured
from flxdr.platform.telemetry.sinks.interface import EventsRefused, SinkUnavailable
from flxdr.platform.telemetry.sinks.kafka import KafkaSink, check_properties
from tests.platform.events import event
from tests.support.kafka import KafkaCluster, kafka_cluster
from tests.support.processes import free_port


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    with kafka_cluster() as running:
        yield running


def sink_of(cluster: KafkaCluster, seconds: float = 5.0) -> KafkaSink:
    return KafkaSink(brokers=[cluster.address], topic=cluster.topic, properties={}, seconds=seconds)


def ids(cluster: KafkaCluster, at_least: int) -> list[int]:
    return [message.event["id"] for message in cluster.messages(at_least)]


def test_a_message_an_event_keyed_by_its_stream(cluster: KafkaCluster) -> None:
    sink = sink_of(cluster)
    sent = [event(number, stream=f"r-{number % 7}", n=number) for number in range(200)]
    sink.send(sent[:150])
    sink.send(sent[150:])
    messages = cluster.messages(200)
    assert sorted((message.event for message in messages), key=lambda each: each["id"]) == sent
    assert len({message.partition for message in messages}) > 1
    for stream in {each["stream"] for each in sent}:
        of_it = [message for message in messages if message.key == stream]
        assert [message.event for message in of_it] == [each for each in sent if each["stream"] == stream]
        assert len({message.partition for message in of_it}) == 1


def test_nobody_listens() -> None:
    sink = KafkaSink(brokers=[f"127.0.0.1:{free_port()}"], topic="t", properties={}, seconds=0.5)
    begin = time.monotonic()
    with pytest.raises(SinkUnavailable, match="Connection refused"):
        sink.send([event(1)])
    assert time.monotonic() - begin < 3


def test_down_and_back(cluster: KafkaCluster) -> None:
    sink = sink_of(cluster)
    sink.send([event(1)])
    cluster.down()
    hurried = sink_of(cluster, seconds=0.5)
    for each in (hurried, hurried):
        with pytest.raises(SinkUnavailable):
            each.send([event(2), event(3)])
    cluster.up()
    sink.send([event(2), event(3)])
    assert ids(cluster, 3) == [1, 2, 3], "what was given up does not arrive afterwards"


def test_slow(cluster: KafkaCluster) -> None:
    sink = sink_of(cluster, seconds=1.0)
    sink.send([event(1)])
    cluster.slow(5)
    begin = time.monotonic()
    with pytest.raises(SinkUnavailable):
        sink.send([event(2), event(3)])
    assert time.monotonic() - begin < 3
    cluster.slow(0)
    sink.send([event(2), event(3)])
    found = ids(cluster, 3)
    assert found[0] == 1
    assert found[1:] in ([2, 3], [2, 3, 2, 3]), "a repetition repeats all of it, in order"


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD])
def test_the_broker_refuses_an_event(cluster: KafkaCluster, code: int) -> None:
    sink = sink_of(cluster)
    sink.send([event(1)])
    cluster.refuse(code)
    with pytest.raises(EventsRefused):
        sink.send([event(2), event(3)])
    sink.send([event(2)])
    assert ids(cluster, 2) == [1, 2]


def test_an_event_larger_than_a_message_may_be(cluster: KafkaCluster) -> None:
    sink = sink_of(cluster)
    with pytest.raises(EventsRefused, match="too large"):
        sink.send([event(1), event(2, text="x" * 1_100_000), event(3)])
    sink.send([event(3)])
    assert 3 in ids(cluster, 1)


def test_the_broker_does_not_let_it_in(cluster: KafkaCluster) -> None:
    sink = sink_of(cluster)
    cluster.refuse(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(SinkUnavailable, match="authorization"):
        sink.send([event(1)])
    sink.send([event(1)])
    assert ids(cluster, 1) == [1]


def test_a_passing_error_is_tried_again(cluster: KafkaCluster) -> None:
    cluster.refuse(KafkaError.REQUEST_TIMED_OUT, KafkaError.NOT_LEADER_FOR_PARTITION)
    sink_of(cluster).send([event(1), event(2)])
    assert ids(cluster, 2) == [1, 2]


def test_no_such_topic(cluster: KafkaCluster) -> None:
    cluster.refuse_topic(KafkaError.UNKNOWN_TOPIC_OR_PART)
    with pytest.raises(SinkUnavailable, match="Unknown topic"):
        sink_of(cluster).send([event(1)])


def test_properties_of_tls_and_sasl_are_read(tmp_path: Path) -> None:
    check_properties({"security.protocol": "sasl_ssl", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "flxdr",
                      "sasl.password": "secret"})  # fmt: skip
    with pytest.raises(Misconfigured, match=r"ssl\.nonsense"):
        check_properties({"ssl.nonsense": "1"})
    with pytest.raises(Misconfigured, match=r"ssl\.ca\.location"):
        check_properties({"security.protocol": "ssl", "ssl.ca.location": str(tmp_path / "missing.pem")})
