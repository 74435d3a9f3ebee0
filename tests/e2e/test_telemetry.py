"""Kafka up, slow, gone and back, and the worker killed in the middle of a send, while rounds go on in earnest."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.federation import Federation, running
from tests.support.kafka import KafkaCluster, Message, kafka_cluster
from tests.support.processes import Coordinator, eventually

RECORDED = """
import json
from flxdr.platform.models import AuditEvent
print(json.dumps(list(AuditEvent.objects.order_by("id").values_list("id", "kind", "outbox__stream"))))
"""
STATE = """
from flxdr.platform.models import TelemetrySender
sender = TelemetrySender.objects.get()
print("sends" if sender.token else "waits" if sender.failures else "idle")
"""
OF_A_ROUND = (
    "round.started",
    "submission.accepted",
    "round.transition",
    "proposal.opened",
    "approval.recorded",
    "block.sealed",
    "model.released",
)


@pytest.fixture
def cluster() -> Iterator[KafkaCluster]:
    with kafka_cluster() as one:
        yield one


@pytest.fixture
def federation(cluster: KafkaCluster, tmp_path: Path) -> Iterator[Federation]:
    environment = {"TELEMETRY_BACKEND": "kafka", "TELEMETRY_KAFKA_BROKERS": cluster.address}
    with (
        Coordinator(tmp_path / "state", environment) as coordinator,
        running(coordinator, tmp_path / "organizations", members=2) as federation,
    ):
        yield federation


def test_rounds_wait_for_no_broker_and_every_event_arrives_in_order(
    federation: Federation, cluster: KafkaCluster
) -> None:
    coordinator = federation.coordinator
    up = _timed_round(federation)
    cluster.messages(1)  # telemetry works

    cluster.down()
    down = _timed_round(federation)
    eventually(lambda: _shell(coordinator, STATE) == "waits", what="the worker tried in vain", timeout=60, every=0.5)

    cluster.slow(60)
    cluster.up()
    coordinator.manage("telemetry_retry")  # ends the pause
    slow = _timed_round(federation)
    eventually(lambda: _shell(coordinator, STATE) == "sends", what="the worker sends", timeout=90, every=0.1)
    killed = coordinator.kill("worker")
    eventually(lambda: coordinator.pid("worker") not in {None, killed}, what="another worker")
    assert max(slow, down) < 2 * up + 5, (up, slow, down)

    cluster.slow(0)
    recorded = json.loads(_shell(coordinator, RECORDED))
    arrived = eventually(
        lambda: _all_of(cluster, {number for number, _, _ in recorded}), what="everything arrives", timeout=60
    )
    first = {message.event["id"]: message for message in reversed(arrived)}
    for number, kind, stream in recorded:
        message = first[number]
        assert (message.key, message.event["stream"], message.event["kind"]) == (stream, stream, kind)
    streams = {stream for _, _, stream in recorded}
    for stream in streams:
        ids = [message.event["id"] for message in arrived if message.key == stream]
        assert list(dict.fromkeys(ids)) == sorted(set(ids)), f"first arrivals of {stream} are in order"
    for round_id in federation.releases():
        assert {kind for _, kind, stream in recorded if stream == round_id} >= set(OF_A_ROUND)


def _timed_round(federation: Federation) -> float:
    begin = time.monotonic()
    assert federation.finish(federation.start_round()) == "completed"
    return time.monotonic() - begin


def _all_of(cluster: KafkaCluster, wanted: set[int]) -> list[Message] | None:
    messages = cluster.messages(len(wanted), seconds=1)
    return messages if wanted <= {message.event["id"] for message in messages} else None


def _shell(coordinator: Coordinator, code: str) -> str:
    return coordinator.manage("shell", "-v", "0", "-c", code).stdout.splitlines()[-1]
