"""Updates that arrive at once share a process's memory: one after the other, and none for ever."""

from __future__ import annotations

import gc
import io
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from federation.api import large_bodies
from federation.api.body import IN_MEMORY_BYTES, read_body
from federation.api.errors import TooManyUpdates
from federation.api.large_bodies import Room
from federation.services import submissions
from federation.services.received import ReceivedUpdate
from tests.api.callers import organization
from tests.api.rounds import open_round, submit, update
from tests.support.processes import eventually


def test_no_more_is_taken_than_there_is_room_for() -> None:
    room, lock = Room(100, patience=30), threading.Lock()
    now = most = 0

    def request(count: int) -> None:
        nonlocal now, most
        with room.request():
            room.take(count)
            with lock:
                now += count
                most = max(most, now)
            threading.Event().wait(0.001)
            with lock:
                now -= count

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(request, [40, 60, 10, 90, 100, 1] * 10))
    assert 60 < most <= 100


def test_a_body_beyond_all_room_has_it_alone() -> None:
    room = Room(100, patience=0.01)
    with room.request():
        room.take(1000)
        with pytest.raises(TooManyUpdates) as refusal, room.request():
            room.take(1)
        assert refusal.value.fields == {"retry_after": 5}
    with room.request():
        room.take(100)


def test_who_came_first_is_not_passed_by_smaller_ones() -> None:
    room = Room(100, patience=30)
    order: list[str] = []

    def request(name: str, count: int) -> None:
        with room.request():
            room.take(count)
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with room.request():
            room.take(50)
            large = pool.submit(request, "large", 90)
            eventually(room._turn.locked, what="the large one waits")
            small = pool.submit(request, "small", 1)
        large.result(30)
        small.result(30)
    assert order == ["large", "small"]


def test_a_failed_request_gives_its_room_back() -> None:
    room = Room(100, patience=0.01)

    def failed() -> None:
        with room.request():
            room.take(100)
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            failed()


@pytest.mark.django_db
def test_a_caller_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    round_id = open_round("org-alpha", "org-beta", model="global")
    room = Room(10, patience=0.01)
    monkeypatch.setattr(large_bodies, "room", room)
    body = update(round_id, "org-alpha")
    body["metrics"]["note"] = 0.5
    body["gradient"] |= {"model_weights": [0.001] * 250_000, "shape": [250_000]}
    caller = organization("org-alpha")
    with room.request():
        room.take(10)
        response = caller.post("federation/round/submit-gradient", body)
    assert (response.status_code, response.json()["code"]) == (503, "too_many_updates")
    assert response["Retry-After"] == "5"


@pytest.mark.django_db
def test_an_update_is_gone_with_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not wait for the garbage collector, though request and view refer to each other."""
    round_id = open_round("org-alpha", "org-beta", model="global")
    seen: list[weakref.ref[ReceivedUpdate]] = []
    original = submissions.submit

    def watched(*, received: ReceivedUpdate, **arguments: Any) -> Any:
        seen.append(weakref.ref(received))
        return original(received=received, **arguments)

    monkeypatch.setattr(submissions, "submit", watched)
    gc.disable()
    try:
        response = submit(round_id, "org-alpha")
        assert response.status_code in (200, 201)
        assert [reference() for reference in seen] == [None]
    finally:
        gc.enable()


def test_small_bodies_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(10, patience=0.01)
    monkeypatch.setattr(large_bodies, "room", room)
    with room.request():
        room.take(10)
        with room.request():
            assert len(read_body(io.BytesIO(bytes(IN_MEMORY_BYTES)), length=IN_MEMORY_BYTES).data) == IN_MEMORY_BYTES
            with pytest.raises(TooManyUpdates):
                read_body(io.BytesIO(bytes(IN_MEMORY_BYTES + 1)), length=IN_MEMORY_BYTES + 1)
