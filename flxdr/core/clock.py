"""Time, passed in wherever it matters so that tests own it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Protocol

from flxdr.core.errors import Malformed

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)


class Clock(Protocol):
    """Anything that tells the time in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is moved (tests, replays)."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._now

    def advance(self, delta: timedelta) -> None:
        self._now += delta


def format_timestamp(moment: datetime) -> str:
    """The canonical spelling of a moment: `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    if moment.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_timestamp(text: str) -> datetime:
    """Read the canonical spelling; every other one is `Malformed`."""
    if not _TIMESTAMP.match(text):
        raise Malformed(f"{text!r} is no canonical timestamp", expected="YYYY-MM-DDTHH:MM:SS.ffffffZ")
    try:
        if text[11:13] == "24":  # a moment to `fromisoformat` from Python 3.13 on
            raise ValueError("hour must be in 0..23")
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{text!r} names no moment: {error}") from error
