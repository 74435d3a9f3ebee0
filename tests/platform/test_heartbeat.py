"""A coordinator is ready while some worker says that it lives."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from flxdr.core.clock import ManualClock
from flxdr.platform import heartbeat
from flxdr.platform.heartbeat import NoWorker, Pulse, ages, beat, require_worker, retire
from flxdr.platform.models import WorkerHeartbeat

pytestmark = pytest.mark.django_db


def test_without_a_worker_nothing_is_ready(clock: ManualClock) -> None:
    with pytest.raises(NoWorker, match="15 s"):
        require_worker(clock=clock)


def test_a_worker_is_missed_after_three_beats(clock: ManualClock) -> None:
    beat("one", clock=clock)
    clock.advance(heartbeat.STALE_AFTER)
    require_worker(clock=clock)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(NoWorker):
        require_worker(clock=clock)


def test_one_of_several_workers_is_enough(clock: ManualClock) -> None:
    beat("one", clock=clock)
    clock.advance(timedelta(seconds=20))
    beat("two", clock=clock)
    beat("two", clock=clock)
    require_worker(clock=clock)
    assert ages(clock=clock) == [timedelta(0), timedelta(seconds=20)]


def test_a_worker_that_stops_is_missed_at_once(clock: ManualClock) -> None:
    beat("one", clock=clock)
    retire("one")
    with pytest.raises(NoWorker):
        require_worker(clock=clock)


def test_rows_of_workers_that_are_long_gone_are_removed(clock: ManualClock) -> None:
    beat("one", clock=clock)
    clock.advance(heartbeat.FORGOTTEN_AFTER + timedelta(seconds=1))
    assert ages(clock=clock) == []
    beat("two", clock=clock)
    assert [row.worker for row in WorkerHeartbeat.objects.all()] == ["two"]


def test_a_pulse_writes_once_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "close_old_connections", lambda: None)  # the test's transaction is in it
    pulse = Pulse("celery@here")
    with connection.execute_wrapper(counting := Counting()):
        pulse.beat()
        first = counting.queries
        pulse.beat()
    assert first > 0
    assert counting.queries == first
    require_worker()
    pulse.stop()
    with pytest.raises(NoWorker):
        require_worker()


class Counting:
    """Counts queries."""

    def __init__(self) -> None:
        self.queries = 0

    def __call__(self, execute, sql, params, many, context):
        self.queries += 1
        return execute(sql, params, many, context)
