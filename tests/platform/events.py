"""Telemetry events as sinks get them, and sinks that fail as they are told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from flxdr.platform.telemetry.sinks.interface import Event, EventsRefused, SinkUnavailable


def event(number: int, *, stream: str = "r-1", day: str = "2026-01-01", **data: Any) -> Event:
    return {
        "id": number,
        "kind": "k",
        "actor": "a",
        "subject": "s",
        "stream": stream,
        "at": f"{day}T00:00:00Z",
        "late": False,
        "data": data,
    }


class ListSink:
    """Keeps what it gets, batch by batch; is down for the first tries, and refuses what holds a `poison`."""

    def __init__(self, *, failures: int = 0, poison: Collection[int] = (), before: Callable[[], Any] | None = None):
        self.failures = failures
        self.poison = frozenset(poison)
        self.before = before
        self.batches: list[list[Event]] = []
        self.tries = 0

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch]

    @property
    def numbers(self) -> list[int]:
        return [event["data"]["n"] for event in self.events]

    def send(self, events: Sequence[Event]) -> None:
        self.tries += 1
        if self.before is not None:
            self.before()
        if self.failures:
            self.failures -= 1
            raise SinkUnavailable("down")
        if not self.poison.isdisjoint(event["data"].get("n") for event in events):
            raise EventsRefused("not these")
        self.batches.append(list(events))
