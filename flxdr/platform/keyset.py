"""Long lists in pages that cost the same wherever they are: each begins after a key, never after so many rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Cursor:
    """Where a page begins: below one key, or above one; without any at the newest row."""

    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Slice(Generic[Row]):
    """One page, newest first. `older` is the key below which the next one lies, `newer` the one above which."""

    items: list[Row]
    newer: int | None
    older: int | None


def slice_of(
    rows: QuerySet[Row],
    cursor: Cursor,
    *,
    key: str,
    limit: int,
    lowest: int | None = None,
    highest: int | None = None,
) -> Slice[Row]:
    """The page of `rows` at the cursor; `key` is a unique column that an index orders.

    Args:
        lowest, highest: keys outside of which no row matches. They are merged with the cursor here, since SQLite begins
            its walk at one of two bounds on the same side, and not at the narrower one.
    """
    if cursor.after is not None:
        floor = cursor.after if lowest is None else max(cursor.after, lowest - 1)
        rows = rows.filter(**{f"{key}__gt": floor})
        if highest is not None:
            rows = rows.filter(**{f"{key}__lte": highest})
        upwards = list(rows.order_by(key)[: limit + 1])
        items = upwards[:limit][::-1]
        newest = _key(items[0], key) if items else cursor.after
        oldest = _key(items[-1], key) if items else cursor.after + 1
        return Slice(items, newest if len(upwards) > limit else None, oldest)
    ceiling = highest + 1 if highest is not None else None
    if cursor.before is not None:
        ceiling = cursor.before if ceiling is None else min(cursor.before, ceiling)
    if ceiling is not None:
        rows = rows.filter(**{f"{key}__lt": ceiling})
    if lowest is not None:
        rows = rows.filter(**{f"{key}__gte": lowest})
    downwards = list(rows.order_by(f"-{key}")[: limit + 1])
    items = downwards[:limit]
    newer = None
    if cursor.before is not None:
        newer = _key(items[0], key) if items else cursor.before - 1
    return Slice(items, newer, _key(items[-1], key) if len(downwards) > limit else None)


def _key(row: Model, key: str) -> int:
    return int(getattr(row, key))
