"""The long poll ends when something is due or its time is over, and never holds more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from threading import Barrier, BoundedSemaphore, Event, Thread
from time import monotonic, sleep
from typing import Any

import pytest
from django.db import transaction

from federation.api import long_poll
from federation.api.errors import TooManyPolls
from federation.api.long_poll import (
    INTERVAL_SECONDS,
    LONGEST_ABSENCE,
    MAX_POLLS,
    MAX_WAITING,
    READS_AT_ONCE,
    REREAD_SECONDS,
    RETURNS_PER_SECOND,
    NoPlaceLeft,
    place_to_wait,
    poll,
)
from flxdr import gunicorn_config
from flxdr.platform.audit import record_event
from tests.api.callers import organization
from tests.api.rounds import open_round, register
from tests.api.test_schema import conforms

pytestmark = pytest.mark.django_db


class FakeTime:
    """Time that passes only in `sleep`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


class Happening(FakeTime):
    """Something happens in the federation after so many seconds."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self.at = self.now + after

    def sleep(self, seconds: float, /) -> None:
        super().sleep(seconds)
        if self.now >= self.at:
            self.at = float("inf")
            happen()


def happen() -> None:
    with transaction.atomic():
        record_event(kind="round.transition", actor="coordinator", subject="round-1", data={})


@pytest.fixture(autouse=True)
def _no_other_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "_changes", long_poll._Changes())
    monkeypatch.setattr(long_poll, "_absences", long_poll._Absences())


@contextmanager
def all_places_taken() -> Iterator[None]:
    with ExitStack() as waiting:
        for number in range(MAX_WAITING):
            waiting.enter_context(place_to_wait(f"other-{number % (MAX_WAITING // 2)}"))
        yield


def _answers() -> Iterator[int]:
    return count()


def test_answers_at_once_when_something_is_due() -> None:
    time = FakeTime()
    assert poll(lambda: "due", due=lambda _: True, wait=25, waiter=time) == "due"
    assert time.sleeps == []


def test_answers_as_soon_as_something_happened() -> None:
    time, answers = Happening(after=2), _answers()
    assert poll(lambda: next(answers), due=lambda number: number == 1, wait=25, waiter=time) == 1
    assert time.now - 1000 <= 2 + 2 * INTERVAL_SECONDS


def test_reads_seldom_while_nothing_happens() -> None:
    time, answers = FakeTime(), _answers()
    reads = poll(lambda: next(answers), due=lambda _: False, wait=25, waiter=time) + 1
    assert reads == 5, "at first, after 3, 9 and 21 seconds, and at last"


def test_what_no_event_tells_is_seen_a_little_later() -> None:
    """As after a transaction that took its number first and committed last."""
    time, answers = FakeTime(), _answers()
    assert poll(lambda: next(answers), due=lambda number: number == 2, wait=25, waiter=time) == 2
    assert time.now - 1000 == pytest.approx(3 * REREAD_SECONDS, abs=3 * INTERVAL_SECONDS)


def test_an_event_makes_it_read_often_again() -> None:
    time, answers = Happening(after=12), _answers()
    assert poll(lambda: next(answers), due=lambda number: number == 4, wait=25, waiter=time) == 4
    assert time.now - 1012 == pytest.approx(REREAD_SECONDS, abs=3 * INTERVAL_SECONDS), "not 12 s after the one before"


def test_those_that_wait_read_a_few_at_a_time_and_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "_turns", BoundedSemaphore(READS_AT_ONCE))
    monkeypatch.setattr(long_poll, "LONGEST_TURN", 0.05)
    together, entered = Barrier(READS_AT_ONCE + 1), []

    def hold() -> None:
        with long_poll._turn():
            entered.append(1)
            together.wait(10)

    others = [Thread(target=hold) for _ in range(READS_AT_ONCE)]
    for other in others:
        other.start()
    while len(entered) < READS_AT_ONCE:
        sleep(0.001)
    begun = monotonic()
    with long_poll._turn():
        assert monotonic() - begun >= 0.05
    together.wait(10)
    for other in others:
        other.join()
    begun = monotonic()
    with long_poll._turn():
        assert monotonic() - begun < 0.05


@pytest.mark.parametrize("wait", [0, 0.05, 1, 25])
def test_waits_no_longer_than_asked(wait: float) -> None:
    time = FakeTime()
    poll(lambda: None, due=lambda _: False, wait=wait, waiter=time)
    assert sum(time.sleeps) == pytest.approx(wait)


def test_a_process_looks_once_for_all_that_wait() -> None:
    changes, looks = long_poll._Changes(), []
    begun, enough = Event(), Event()

    def look() -> int:
        looks.append(1)
        begun.set()
        assert enough.wait(10)
        return 7

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(long_poll, "newest_event_number", look)
        first = Thread(target=changes.newest, args=(1000.0,))
        first.start()
        assert begun.wait(10)
        assert changes.newest(1000.0) == 0, "another thread reads it: the old one does meanwhile"
        enough.set()
        first.join()
        assert [changes.newest(1000.0 + INTERVAL_SECONDS / 2) for _ in range(9)] == [7] * 9
    assert len(looks) == 1


def test_an_organization_holds_few_threads_and_nobody_elses() -> None:
    with ExitStack() as waiting:
        for _ in range(MAX_POLLS):
            waiting.enter_context(place_to_wait("org-alpha"))
        with pytest.raises(TooManyPolls), place_to_wait("org-alpha"):
            pass
        with place_to_wait("org-beta"):
            pass
    with pytest.raises(RuntimeError, match="failed"), place_to_wait("org-alpha"):
        raise RuntimeError("failed")
    with ExitStack() as waiting:
        for _ in range(MAX_POLLS):
            waiting.enter_context(place_to_wait("org-alpha"))


def test_a_poll_too_many_is_told_when_to_come_back() -> None:
    register("org-alpha")
    with ExitStack() as waiting:
        for _ in range(MAX_POLLS):
            waiting.enter_context(place_to_wait("org-alpha"))
        refused = organization("org-alpha").get("federation/round/current", {"wait": 20})
        at_once = organization("org-alpha").get("federation/round/current", {"wait": 0})
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "too_many_polls", "1")
    assert at_once.status_code == 200


def test_those_who_wait_leave_threads_for_everything_else() -> None:
    assert gunicorn_config.threads * 3 / 4 >= MAX_WAITING
    with all_places_taken():
        assert organization_status() == 200
        with pytest.raises(NoPlaceLeft), place_to_wait("org-alpha"):
            pass
    with place_to_wait("org-alpha"):
        pass


def organization_status() -> int:
    register("org-alpha")
    return int(organization("org-alpha").get("federation/status").status_code)


def test_who_finds_no_place_is_told_when_to_come_back(schema: dict[str, Any]) -> None:
    register("org-alpha")
    with all_places_taken():
        sent_away = organization("org-alpha").get("federation/round/current", {"wait": 20})
        at_once = organization("org-alpha").get("federation/round/current", {"wait": 0})
    assert (sent_away.status_code, sent_away.content, sent_away["Retry-After"]) == (204, b"", "2")
    assert at_once.json()["head"]["height"] == 0
    operation = schema["paths"]["/api/fl-blockchain/federation/round/current"]["get"]
    assert "Retry-After" in operation["responses"]["204"]["headers"]


def test_what_is_due_is_answered_without_a_place(schema: dict[str, Any]) -> None:
    round_id = open_round("org-alpha", "org-beta")
    with all_places_taken():
        answer = organization("org-alpha").get("federation/round/current", {"wait": 20})
    assert answer.json()["round"]["round_id"] == round_id
    conforms(schema, "federation/round/current", "get", answer)


def test_the_more_are_sent_away_the_later_each_comes_back() -> None:
    absences = long_poll._Absences()
    seconds = [absences.next(1000.0) for _ in range(500)]
    assert seconds == sorted(seconds)
    assert seconds[0] == 2
    assert seconds[99] == pytest.approx(2 + 99 / RETURNS_PER_SECOND, abs=1)
    assert seconds[-1] == LONGEST_ABSENCE
    assert absences.next(1100.0) == 2
