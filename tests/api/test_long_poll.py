"""The long poll ends when something is due or its time is over, and never holds more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from federation.api.errors import TooManyPolls
from federation.api.long_poll import INTERVAL_SECONDS, MAX_POLLS, place_to_wait, poll
from tests.api.callers import organization
from tests.api.rounds import register


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


def _answers() -> Iterator[int]:
    return count()


def test_answers_at_once_when_something_is_due() -> None:
    time = FakeTime()
    assert poll(lambda: "due", due=lambda _: True, wait=25, waiter=time) == "due"
    assert time.sleeps == []


def test_answers_as_soon_as_something_becomes_due() -> None:
    time, answers = FakeTime(), _answers()
    assert poll(lambda: next(answers), due=lambda number: number == 3, wait=25, waiter=time) == 3
    assert time.sleeps == [INTERVAL_SECONDS] * 3


@pytest.mark.parametrize("wait", [0, 0.05, 1, 25])
def test_waits_no_longer_than_asked(wait: float) -> None:
    time, answers = FakeTime(), _answers()
    last = poll(lambda: next(answers), due=lambda _: False, wait=wait, waiter=time)
    assert sum(time.sleeps) == pytest.approx(wait)
    assert last == len(time.sleeps)
    assert last <= wait / INTERVAL_SECONDS + 1


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


@pytest.mark.django_db
def test_a_poll_too_many_is_told_when_to_come_back() -> None:
    register("org-alpha")
    with ExitStack() as waiting:
        for _ in range(MAX_POLLS):
            waiting.enter_context(place_to_wait("org-alpha"))
        refused = organization("org-alpha").get("federation/round/current", {"wait": 20})
        at_once = organization("org-alpha").get("federation/round/current", {"wait": 0})
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (429, "too_many_polls", "1")
    assert at_once.status_code == 200
