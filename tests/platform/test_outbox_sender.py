"""The worker's thread for telemetry: tasks do not wait for a sink, and a sink has no more than one of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import transaction

from flxdr.core.clock import ManualClock
from flxdr.platform import tasks
from flxdr.platform.audit import record_event
from flxdr.platform.models import OutboxEvent
from flxdr.platform.telemetry import selectors, sender
from flxdr.platform.telemetry.sender import Sender
from tests.platform.events import ListSink
from tests.support.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _an_event_waits(clock: ManualClock) -> None:
    OutboxEvent.objects.update(sent_at=clock.now())
    with transaction.atomic():
        record_event(kind="a.b", actor="a", subject="s", data={"n": 1}, clock=clock)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[[ListSink], list[ListSink]]:
    """Has the settings choose the sink; returns the list of the times that they did."""

    def configure(sink: ListSink) -> list[ListSink]:
        made: list[ListSink] = []

        def make() -> ListSink:
            made.append(sink)
            return sink

        monkeypatch.setattr(sender, "configured_sink", make)
        return made

    return configure


@pytest.mark.usefixtures("_an_event_waits")
def test_a_task_does_not_wait_for_a_slow_sink(
    configured: Callable[[ListSink], list[ListSink]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    sink = ListSink(before=lambda: answers.wait(30))
    made = configured(sink)
    own = Sender()
    monkeypatch.setattr(tasks, "SENDER", own)
    try:
        for _ in range(3):
            tasks.drain_outbox()
        eventually(lambda: sink.tries == 1, what="the sink is asked")
        assert selectors.count_waiting() == 1, "the tasks have ended, and the event is on its way"
        assert sum(thread.name == "telemetry" for thread in threading.enumerate()) == 1
    finally:
        answers.set()
    eventually(lambda: selectors.count_waiting() == 0, what="the event is sent")
    own.wake()
    own.stop()
    assert (sink.tries, len(made)) == (1, 1), "the next drain uses the same sink"


@pytest.mark.usefixtures("_an_event_waits")
def test_it_survives_what_nobody_expected(configured: Callable[[ListSink], list[ListSink]]) -> None:
    def surprise() -> None:
        raise RuntimeError("a bug in the sink")

    sink = ListSink(before=surprise)
    configured(sink)
    own = Sender()
    own.wake()
    eventually(lambda: sink.tries == 1, what="the sink is asked")
    own.stop(10)
    assert selectors.count_waiting() == 1


@pytest.mark.usefixtures("_an_event_waits")
def test_a_hanging_sink_does_not_keep_the_process(configured: Callable[[ListSink], list[ListSink]]) -> None:
    answers = threading.Event()
    sink = ListSink(before=lambda: answers.wait(30))
    configured(sink)
    own = Sender()
    own.wake()
    eventually(lambda: sink.tries == 1, what="the sink is asked")
    own.stop(0.05)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "telemetry"]
    assert thread.daemon
    own.wake()
    assert sum(each.name == "telemetry" for each in threading.enumerate()) == 1, "a stopped sender starts nothing"
    answers.set()
    thread.join(30)
    assert selectors.count_waiting() == 0
