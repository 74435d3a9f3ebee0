"""Telemetry leaves at least once, in order, whatever the sink does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connection, transaction

from flxdr.core.clock import ManualClock
from flxdr.platform.audit import record_event
from flxdr.platform.models import OutboxEvent
from flxdr.platform.tasks import drain_outbox
from flxdr.platform.telemetry import outbox
from flxdr.platform.telemetry.outbox import drain
from flxdr.platform.telemetry.sinks import Event, SinkUnavailable

pytestmark = pytest.mark.usefixtures("_nothing_waits")


@pytest.fixture
def _nothing_waits(db: None, clock: ManualClock) -> None:
    """What the migrations told has been sent."""
    OutboxEvent.objects.update(sent_at=clock.now())


class ListSink:
    """Keeps what it gets; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.events: list[Event] = []

    def send(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise SinkUnavailable("down")
        self.events += events


def record(count: int, clock: ManualClock) -> None:
    with transaction.atomic():
        for number in range(count):
            record_event(kind="round.started", actor="a", subject=f"r-{number}", data={"n": number}, clock=clock)


@pytest.mark.django_db
def test_events_reach_the_local_file_once(data_dir: Path, clock: ManualClock) -> None:
    record(3, clock)
    drain_outbox()
    drain_outbox()
    lines = (data_dir / "telemetry" / "events-2026-01-01.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["subject"] for event in events] == ["r-0", "r-1", "r-2"]
    assert events[0] == {
        "id": events[0]["id"],
        "kind": "round.started",
        "actor": "a",
        "subject": "r-0",
        "at": "2026-01-01T00:00:00.000000Z",
        "data": {"n": 0},
    }
    assert not OutboxEvent.objects.filter(sent_at=None).exists()


@pytest.mark.django_db
def test_more_events_than_a_batch(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    record(5, clock)
    sink = ListSink()
    assert drain(sink=sink, clock=clock) == 5
    assert [event["data"]["n"] for event in sink.events] == [0, 1, 2, 3, 4]


@pytest.mark.django_db
def test_a_sink_that_is_down_delays_and_loses_nothing(clock: ManualClock) -> None:
    record(2, clock)
    sink = ListSink(failures=2)
    assert drain(sink=sink, clock=clock) == 0
    waiting = OutboxEvent.objects.filter(sent_at=None).first()
    assert waiting is not None
    assert (waiting.attempts, waiting.last_error, waiting.sent_at) == (1, "down", None)
    assert drain(sink=sink, clock=clock) == 0
    assert sink.failures == 1, "it waits before it tries again"
    clock.advance(timedelta(seconds=6))
    assert drain(sink=sink, clock=clock) == 0
    clock.advance(timedelta(seconds=6))
    assert drain(sink=sink, clock=clock) == 0, "the second pause is longer than the first"
    clock.advance(timedelta(seconds=6))
    assert drain(sink=sink, clock=clock) == 2
    assert [event["data"]["n"] for event in sink.events] == [0, 1]


@pytest.mark.django_db
def test_events_of_a_killed_process_are_sent_by_the_next(clock: ManualClock) -> None:
    record(1, clock)

    class Killed(ListSink):
        def send(self, events: Sequence[Event]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drain(sink=Killed(), clock=clock)
    sink = ListSink()
    assert drain(sink=sink, clock=clock) == 0
    clock.advance(outbox.LEASE + timedelta(seconds=1))
    assert drain(sink=sink, clock=clock) == 1


@pytest.mark.django_db(transaction=True)
def test_concurrent_drains_send_each_event_once(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 3)
    record(30, clock)
    sinks = [ListSink() for _ in range(4)]
    start = Barrier(4, timeout=30)

    def run(sink: ListSink) -> None:
        start.wait()
        drain(sink=sink, clock=clock)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, sinks))
    drain(sink=sinks[0], clock=clock)
    assert sorted(event["data"]["n"] for sink in sinks for event in sink.events) == list(range(30))
