"""Looking for events in a trail of any length, for a bounded time a page.

An exact kind, actor or subject, and a time range, are answered from an index. What no index answers (a group of kinds,
a part of a subject, several of them at once) is looked for among `SCANNED` events a page; the next page goes on below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min, QuerySet

from flxdr.platform.keyset import Cursor, Slice, slice_of
from flxdr.platform.models import AuditEvent

SCANNED = 50_000
COUNTED = 10_000
"""Matches that are counted; of more nobody needs to know how many."""
EVENTS_PER_QUERY = 2_000


@dataclass(frozen=True)
class EventFilter:
    """Which events; what is empty does not restrict.

    Attributes:
        kind: one kind (`round.started`), or with a dot at its end a group of them (`round.`).
        text: a part of the subject, in any case.
    """

    kind: str = ""
    actor: str = ""
    subject: str = ""
    text: str = ""
    since: datetime | None = None
    before: datetime | None = None

    @property
    def scans(self) -> bool:
        """Whether no index answers it."""
        exact = [self.kind, self.actor, self.subject]
        return bool(self.text) or self.kind.endswith(".") or sum(map(bool, exact)) > 1

    def as_json(self) -> dict[str, str]:
        """What restricts, for the audit trail itself."""
        texts = {"kind": self.kind, "actor": self.actor, "subject": self.subject, "text": self.text}
        moments = {"since": self.since, "before": self.before}
        return {name: text for name, text in texts.items() if text} | {
            name: moment.isoformat() for name, moment in moments.items() if moment is not None
        }


@dataclass(frozen=True)
class Found:
    """A page of events. `total` is None where they were not counted; `is_partial`: there are older ones to look at."""

    slice: Slice[AuditEvent]
    total: int | None
    is_partial: bool = False


def events_matching(wanted: EventFilter, cursor: Cursor, *, limit: int) -> Found:
    """The page of events at the cursor, newest first."""
    rows = _matching(wanted)
    bounds = _bounds(wanted)
    if rows is None or bounds is None:
        return Found(Slice([], None, None), 0)
    lowest, highest = bounds
    if not wanted.scans:
        total = rows.filter(id__gte=lowest, id__lte=highest).order_by()[: COUNTED + 1].count()
        return Found(slice_of(rows, cursor, key="id", limit=limit, lowest=lowest, highest=highest), total)
    return _scan(rows, cursor, lowest, highest, limit)


def count_events(wanted: EventFilter, *, up_to: int) -> int:
    """How many events match, the newest of which counts being `up_to`; takes its time."""
    rows = _matching(wanted)
    return 0 if rows is None else rows.filter(id__lte=up_to).count()


def events_in_order(wanted: EventFilter, *, up_to: int) -> Iterator[AuditEvent]:
    """Every matching event up to that one, oldest first, in bounded memory."""
    rows = _matching(wanted)
    after = 0
    while rows is not None:
        batch = list(rows.filter(id__gt=after, id__lte=up_to).order_by("id")[:EVENTS_PER_QUERY])
        yield from batch
        if len(batch) < EVENTS_PER_QUERY:
            return
        after = batch[-1].pk


def newest_event_id() -> int:
    """The number of the newest event; 0 of none."""
    newest: int | None = AuditEvent.objects.aggregate(newest=Max("id"))["newest"]
    return newest or 0


def _scan(rows: QuerySet[AuditEvent], cursor: Cursor, lowest: int, highest: int, limit: int) -> Found:
    if cursor.after is not None:
        start = max(cursor.after, lowest - 1)
        end = start + SCANNED
        part = slice_of(rows, Cursor(after=start), key="id", limit=limit, highest=min(end, highest))
        newer = part.newer if part.newer is not None or end >= highest else end
        return Found(Slice(part.items, newer, part.older if start >= lowest else None), None)
    start = min(cursor.before if cursor.before is not None else highest + 1, highest + 1)
    end = max(start - SCANNED, lowest)
    part = slice_of(rows, Cursor(before=start), key="id", limit=limit, lowest=end)
    goes_on = part.older is None and end > lowest
    newer = part.newer if start <= highest else None
    return Found(Slice(part.items, newer, end if goes_on else part.older), None, is_partial=goes_on)


def _matching(wanted: EventFilter) -> QuerySet[AuditEvent] | None:
    """None where nothing can match: PostgreSQL refuses to look for a text with a zero character."""
    if any("\0" in text for text in (wanted.kind, wanted.actor, wanted.subject, wanted.text)):
        return None
    rows = AuditEvent.objects.all()
    if wanted.kind.endswith("."):
        rows = rows.filter(kind__startswith=wanted.kind)
    elif wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.actor:
        rows = rows.filter(actor=wanted.actor)
    if wanted.subject:
        rows = rows.filter(subject=wanted.subject)
    if wanted.text:
        rows = rows.filter(subject__icontains=wanted.text)
    return _in_period(rows, wanted)


def _in_period(rows: QuerySet[AuditEvent], wanted: EventFilter) -> QuerySet[AuditEvent]:
    if wanted.since is not None:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.before is not None:
        rows = rows.filter(at__lt=wanted.before)
    return rows


def _bounds(wanted: EventFilter) -> tuple[int, int] | None:
    """The lowest and highest number of an event in the time range; None if there is none in it.

    Numbers and times go up together but for the moments between two writers, so between these bounds hardly an event
    lies outside of the range, and walking down the numbers finds a page at once.
    """
    if wanted.since is None and wanted.before is None:
        # Each end by itself is a step into the index; both in one query would be a walk through all of it.
        lowest = AuditEvent.objects.aggregate(lowest=Min("id"))["lowest"]
        return None if lowest is None else (lowest, newest_event_id())
    found = _in_period(AuditEvent.objects.all(), wanted).aggregate(lowest=Min("id"), highest=Max("id"))
    return None if found["lowest"] is None else (found["lowest"], found["highest"])
