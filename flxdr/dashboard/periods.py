"""The time range of a page; it stands in the URL, so that a link shows what its sender saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.http import HttpRequest


@dataclass(frozen=True)
class Period:
    """Whole days, UTC, both ends included; None: open on that side."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Period:
        """`?from=YYYY-MM-DD&to=YYYY-MM-DD`; an end that is no date is open."""
        return cls(_day(request.GET.get("from", "")), _day(request.GET.get("to", "")))

    @property
    def start(self) -> datetime | None:
        """The first moment that is in it."""
        return None if self.first is None else datetime.combine(self.first, time.min, UTC)

    @property
    def end(self) -> datetime | None:
        """The first moment that is not in it any more."""
        return None if self.last is None else datetime.combine(self.last, time.min, UTC) + timedelta(days=1)

    @property
    def is_open(self) -> bool:
        return self.first is None and self.last is None


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day < date.max else None
