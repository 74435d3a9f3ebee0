"""The trail as a file: CSV for spreadsheets, JSON Lines for programs; written while it is read, in bounded memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Literal

from django.db import transaction

from flxdr.core.clock import Clock, format_timestamp
from flxdr.platform.audit import record_event
from flxdr.platform.audit.search import EventFilter, count_events, events_in_order, newest_event_id
from flxdr.platform.models import AuditEvent

Format = Literal["csv", "jsonl"]
CONTENT_TYPES: dict[str, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
COLUMNS = ("id", "at", "kind", "actor", "subject", "data")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would calculate instead of showing it."""


@transaction.atomic
def export_events(*, wanted: EventFilter, file_format: Format, actor: str, clock: Clock) -> Iterator[bytes]:
    """The lines of an export of what matches now. That it was made is an event itself, written before the first line.

    The trail only grows, so the count that the event tells is the number of rows that follow.
    """
    newest = newest_event_id()
    record_event(
        kind="audit.exported",
        actor=actor,
        subject="audit trail",
        data={
            "format": file_format,
            "filters": wanted.as_json(),
            "rows": count_events(wanted, up_to=newest),
            "newest_event": newest,
        },
        clock=clock,
    )
    events = events_in_order(wanted, up_to=newest)
    return _csv(events) if file_format == "csv" else _json_lines(events)


def neutral(text: str) -> str:
    """A cell that a spreadsheet shows as it is: behind an apostrophe where it would begin a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class _Line:
    """What `csv` writes into: one line at a time."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def _csv(events: Iterable[AuditEvent]) -> Iterator[bytes]:
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(COLUMNS)
    yield line.text.encode()
    for event in events:
        data = json.dumps(event.data, ensure_ascii=False, sort_keys=True)
        texts = (format_timestamp(event.at), event.kind, event.actor, event.subject, data)
        writer.writerow([event.pk, *map(neutral, texts)])
        yield line.text.encode()


def _json_lines(events: Iterable[AuditEvent]) -> Iterator[bytes]:
    for event in events:
        document = {
            "id": event.pk,
            "at": format_timestamp(event.at),
            "kind": event.kind,
            "actor": event.actor,
            "subject": event.subject,
            "data": event.data,
        }
        yield json.dumps(document, ensure_ascii=False).encode() + b"\n"
