"""Telemetry leaves at least once, in order, whatever the sink does."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from threading import Event as Flag

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from flxdr.core.clock import ManualClock
from flxdr.platform.audit import record_event
from flxdr.platform.models import OutboxEvent, TelemetrySender
from flxdr.platform.telemetry import lease, outbox, selectors
from flxdr.platform.telemetry.outbox import drain, purge_sent
from flxdr.platform.telemetry.sinks.interface import Event, SinkUnavailable
from tests.platform.events import ListSink

pytestmark = pytest.mark.usefixtures("_nothing_waits")


@pytest.fixture
def _nothing_waits(db: None, clock: ManualClock) -> None:
    """What the migrations told has been sent."""
    OutboxEvent.objects.update(sent_at=clock.now())


def record(count: int, clock: ManualClock, *, streams: int = 1) -> None:
    with transaction.atomic():
        for number in range(count):
            record_event(
                kind="round.started",
                actor="a",
                subject=f"s-{number}",
                data={"n": number},
                stream=f"r-{number % streams}",
                clock=clock,
            )


@pytest.mark.django_db
def test_events_reach_the_local_file_once(data_dir: Path, clock: ManualClock) -> None:
    record(3, clock)
    assert drain() == 3
    assert drain() == 0
    lines = (data_dir / "telemetry" / "events-2026-01-01.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["subject"] for event in events] == ["s-0", "s-1", "s-2"]
    assert events[0] == {
        "id": events[0]["id"],
        "kind": "round.started",
        "actor": "a",
        "subject": "s-0",
        "stream": "r-0",
        "at": "2026-01-01T00:00:00.000000Z",
        "late": False,
        "data": {"n": 0},
    }
    assert selectors.count_waiting() == 0


@pytest.mark.django_db
def test_the_stream_of_an_event_is_its_subject_unless_told(clock: ManualClock) -> None:
    with transaction.atomic():
        record_event(kind="a.b", actor="a", subject="org-a", data={"n": 1}, clock=clock)
        record_event(kind="a.b", actor="a", subject="org-b", data={"n": 2}, clock=clock)
    OutboxEvent.objects.filter(stream="org-b").update(stream="")  # as the release before wrote it
    sink = ListSink()
    drain(sink=sink, clock=clock)
    assert [event["stream"] for event in sink.events] == ["org-a", "org-b"]


@pytest.mark.django_db
def test_the_release_before_still_writes_during_an_upgrade(clock: ManualClock) -> None:
    record(1, clock)
    (event,) = OutboxEvent.objects.filter(sent_at=None).values_list("event", flat=True)
    OutboxEvent.objects.filter(event=event).delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO platform_outboxevent (event_id, attempts, last_error, token, lease_until)"
            " VALUES (%s, 0, '', '', NULL)",
            [event],
        )
    sink = ListSink()
    assert drain(sink=sink, clock=clock) == 1
    assert (sink.events[0]["stream"], sink.events[0]["late"]) == ("s-0", False)


@pytest.mark.django_db
def test_more_events_than_a_batch(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    record(5, clock)
    sink = ListSink()
    assert drain(sink=sink, clock=clock) == 5
    assert [len(batch) for batch in sink.batches] == [2, 2, 1]
    assert sink.numbers == [0, 1, 2, 3, 4]


@pytest.mark.django_db
def test_told_to_stop_it_ends_between_two_batches(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    record(5, clock)
    stop = Flag()
    sink = ListSink(before=stop.set)
    assert drain(sink=sink, clock=clock, should_stop=stop.is_set) == 2
    assert drain(sink=sink, clock=clock) == 3, "the lease is given back"


@pytest.mark.django_db
def test_a_sink_that_is_down_delays_and_loses_nothing(clock: ManualClock) -> None:
    record(2, clock)
    sink = ListSink(failures=2)
    assert drain(sink=sink, clock=clock) == 0
    waiting = selectors.oldest_waiting()
    assert waiting is not None
    assert (waiting.attempts, waiting.last_error, waiting.sent_at) == (1, "down", None)
    assert drain(sink=sink, clock=clock) == 0
    assert sink.tries == 1, "it waits before it tries again"
    record(1, clock)
    assert drain(sink=sink, clock=clock) == 0
    assert sink.tries == 1, "newer events wait behind it and do not overtake"
    clock.advance(timedelta(seconds=5))
    assert drain(sink=sink, clock=clock) == 0
    clock.advance(timedelta(seconds=9))
    assert drain(sink=sink, clock=clock) == 0, "the second pause is longer than the first"
    clock.advance(timedelta(seconds=1))
    assert drain(sink=sink, clock=clock) == 3
    assert sink.numbers == [0, 1, 0]


@pytest.mark.django_db
def test_pauses_grow_to_a_minute_and_shrink_at_once(clock: ManualClock) -> None:
    record(1, clock)
    pauses = []
    sink = ListSink(failures=7)
    while not sink.batches:
        drain(sink=sink, clock=clock)
        until = TelemetrySender.objects.get().lease_until
        pauses.append((until - clock.now()).total_seconds() if until else 0)
        clock.advance(timedelta(seconds=pauses[-1]))
    assert pauses == [5, 10, 20, 40, 60, 60, 60, 0]
    record(1, clock)
    drain(sink=ListSink(failures=1), clock=clock)
    assert TelemetrySender.objects.get().lease_until == clock.now() + timedelta(seconds=5)


@pytest.mark.django_db
def test_events_of_a_killed_process_are_sent_by_the_next(clock: ManualClock) -> None:
    record(1, clock)

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drain(sink=ListSink(before=killed), clock=clock)
    sink = ListSink()
    clock.advance(lease.LEASE - timedelta(seconds=1))
    assert drain(sink=sink, clock=clock) == 0
    clock.advance(timedelta(seconds=1))
    assert drain(sink=sink, clock=clock) == 1


@pytest.mark.django_db
def test_who_stood_still_sends_no_further_batch(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain whose lease ended while it sent repeats its batch at most: first arrivals stay in order."""
    monkeypatch.setattr(outbox, "BATCH", 2)
    record(6, clock)
    arrived = ListSink()

    def another_takes_over() -> None:
        clock.advance(lease.LEASE)
        drain(sink=arrived, clock=clock)

    stopped = ListSink(before=another_takes_over)
    stopped.batches = arrived.batches
    assert drain(sink=stopped, clock=clock) == 0
    assert stopped.tries == 1
    assert list(dict.fromkeys(arrived.numbers)) == [0, 1, 2, 3, 4, 5]
    assert len(arrived.numbers) == 8


@pytest.mark.django_db(transaction=True)
def test_concurrent_drains_send_each_event_once_in_order(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 3)
    record(30, clock)
    sink = ListSink()
    start = Barrier(4, timeout=30)

    def run(_: int) -> None:
        start.wait()
        drain(sink=sink, clock=clock)
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    drain(sink=sink, clock=clock)
    assert sink.numbers == list(range(30))


@pytest.mark.django_db
@pytest.mark.parametrize("poison", [{0}, {4}, {8}, {3, 4}, {1, 5, 7}], ids=str)
def test_a_refused_event_is_set_aside_and_holds_nobody_up(
    clock: ManualClock, poison: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BATCH", 8)
    record(10, clock)
    sink = ListSink(poison=poison)
    assert drain(sink=sink, clock=clock) == 10 - len(poison)
    assert sink.numbers == [number for number in range(10) if number not in poison]
    assert {row.event.data["n"] for row in selectors.refused()} == poison
    assert {(row.last_error, row.attempts) for row in selectors.refused()} == {("not these", 1)}
    assert selectors.count_waiting() == 0

    call_command("telemetry_retry")
    late = ListSink()
    assert drain(sink=late, clock=clock) == len(poison) + 1
    *again, told = late.events
    assert [event["data"]["n"] for event in again] == sorted(poison)
    assert all(event["late"] for event in again)
    assert (told["kind"], told["data"], told["late"]) == ("telemetry.retried", {"events": len(poison)}, False)


@pytest.mark.django_db
def test_a_sink_that_refuses_everything_is_wrong_itself(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_DOUBTFUL", 4)
    record(20, clock)
    sink = ListSink(poison=range(20))
    assert drain(sink=sink, clock=clock) == 0
    assert not selectors.refused().exists()
    assert selectors.count_waiting() == 20
    tries = sink.tries
    assert drain(sink=sink, clock=clock) == 0
    assert sink.tries == tries, "it pauses"
    sink.poison = frozenset()
    clock.advance(timedelta(minutes=1))
    assert drain(sink=sink, clock=clock) == 20
    assert sink.numbers == list(range(20)), "and nothing lost its place"


@pytest.mark.django_db
def test_the_only_event_is_not_set_aside_until_another_was_taken(clock: ManualClock) -> None:
    record(1, clock)
    sink = ListSink(poison={0})
    assert drain(sink=sink, clock=clock) == 0
    assert not selectors.refused().exists()
    with transaction.atomic():
        record_event(kind="a.b", actor="a", subject="s", data={"n": 1}, clock=clock)
    clock.advance(timedelta(minutes=1))
    assert drain(sink=sink, clock=clock) == 1
    assert selectors.refused().count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(5))
def test_every_stream_arrives_whole_and_in_order(
    clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that fails at random, after it took nothing, a part, or all."""
    monkeypatch.setattr(outbox, "BATCH", 7)
    chance = random.Random(seed)
    record(40, clock, streams=3)

    class Flaky(ListSink):
        def send(self, events: Sequence[Event]) -> None:
            taken = events[: chance.choice([0, len(events) // 2, len(events)])] if chance.random() < 0.5 else events
            self.batches.append(list(taken))
            if len(taken) < len(events) or chance.random() < 0.2:
                raise SinkUnavailable("flaky")

    sink = Flaky()
    for _ in range(200):
        drain(sink=sink, clock=clock)
        clock.advance(timedelta(minutes=1))
    for stream in range(3):
        first = list(dict.fromkeys(event["data"]["n"] for event in sink.events if event["stream"] == f"r-{stream}"))
        assert first == list(range(stream, 40, 3))


@pytest.mark.django_db
def test_the_command_ends_a_pause(clock: ManualClock, capsys: pytest.CaptureFixture[str]) -> None:
    record(1, clock)
    sink = ListSink(failures=1)
    drain(sink=sink, clock=clock)
    call_command("telemetry_retry")
    assert "0 refused events" in capsys.readouterr().out
    assert drain(sink=sink, clock=clock) == 1


@pytest.mark.django_db
def test_sent_events_are_forgotten_after_a_week_and_others_never(clock: ManualClock) -> None:
    OutboxEvent.objects.all().delete()
    record(6, clock)
    drain(sink=ListSink(poison={5}), clock=clock)
    record(1, clock)
    clock.advance(outbox.KEPT)
    assert purge_sent(clock=clock) == 0
    clock.advance(timedelta(seconds=1))
    assert purge_sent(clock=clock, at_once=2) == 5
    assert selectors.count_waiting() == 2


@pytest.mark.django_db
def test_the_database_keeps_the_rules(clock: ManualClock) -> None:
    record(1, clock)
    with pytest.raises(IntegrityError), transaction.atomic():
        OutboxEvent.objects.update(sent_at=clock.now(), refused_at=clock.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        TelemetrySender.objects.create(pk=2)
