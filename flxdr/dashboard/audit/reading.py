"""The trail as a page shows it: each event as a sentence, its subject as a link to where it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse

from flxdr.dashboard.audit.wording import Sentence, sentence_of
from flxdr.dashboard.paging import PAGE_SIZE
from flxdr.platform.audit.search import COUNTED, EventFilter, Found, events_matching
from flxdr.platform.keyset import Cursor
from flxdr.platform.models import AuditEvent


@dataclass(frozen=True)
class EventRow:
    """An event, what it says, and the page of its subject where there is one."""

    event: AuditEvent
    sentence: Sentence
    link: str
    details: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Trail:
    """A page of the trail. `more`: there are more than were counted."""

    found: Found
    rows: Sequence[EventRow]

    @property
    def more(self) -> bool:
        return self.found.total is not None and self.found.total > COUNTED

    @property
    def counted(self) -> int | None:
        return None if self.found.total is None else min(self.found.total, COUNTED)


def read_trail(wanted: EventFilter, cursor: Cursor) -> Trail:
    """Read a page of it."""
    found = events_matching(wanted, cursor, limit=PAGE_SIZE)
    return Trail(found, [_row(event) for event in found.slice.items])


def _row(event: AuditEvent) -> EventRow:
    data = event.data if isinstance(event.data, dict) else {"data": event.data}
    return EventRow(event, sentence_of(event.kind, data), link_of(event.kind, event.subject), _details(data))


def _details(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _text(value)) for name, value in data.items()]


def _text(value: Any) -> str:
    """A detail as somebody reads it: texts as they are, lists of them with commas, all else as JSON."""
    if isinstance(value, str):
        return value or "-"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value) or "-"
    return json.dumps(value, ensure_ascii=False)


def link_of(kind: str, subject: str) -> str:
    """The page of what an event of that kind was done to; empty where there is none."""
    group = kind.partition(".")[0]
    word, _space, rest = subject.partition(" ")
    make = _BY_WORD.get(word) if rest.isascii() and rest.isdecimal() and len(rest) < 16 else None
    make = make or _BY_GROUP.get(group)
    if subject.startswith("round-"):
        make = _round
    try:
        return "" if make is None else make(subject)
    except NoReverseMatch:
        return ""


def _number(subject: str) -> int:
    return int(subject.partition(" ")[2])


def _round(subject: str) -> str:
    return reverse("rounds:detail", args=[subject])


def _organization(subject: str) -> str:
    return reverse("organizations:detail", args=[subject])


_BY_WORD: dict[str, Callable[[str], str]] = {
    "block": lambda subject: reverse("ledger:block", args=[_number(subject)]),
    "proposal": lambda subject: f"{reverse('ledger:proposals')}?number={_number(subject)}",
    "campaign": lambda subject: reverse("admin:federation_campaign_change", args=[_number(subject)]),
    "checkpoint": lambda _subject: reverse("ledger:checkpoint"),
}
_BY_GROUP: dict[str, Callable[[str], str]] = {
    "organization": _organization,
    "enrolment_token": _organization,
    "model": lambda subject: reverse("ledger:lineage", args=[subject]),
    "chain": lambda _subject: reverse("ledger:index"),
    "detection": lambda _subject: reverse("detections:index"),
    "notification": lambda _subject: reverse("notifications:index"),
}
