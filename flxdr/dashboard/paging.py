"""A long list in pages; which one is shown stands in the URL, as a number or as the key at which it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from flxdr.platform.keyset import Cursor

PAGE_SIZE = 50


@dataclass(frozen=True)
class Window:
    """The part of a list that a request asks for: what selectors take as `limit` and `offset`."""

    number: int
    limit: int

    @classmethod
    def of(cls, request: HttpRequest, *, limit: int = PAGE_SIZE) -> Window:
        """Page `?page=`; the first one if it is none."""
        text = request.GET.get("page", "")
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 1
        return cls(max(1, number), limit)

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


@dataclass(frozen=True)
class Pages:
    """One page of a list and its place among the others, for `dashboard/pages.html`."""

    items: Sequence[Any]
    total: int
    window: Window

    @property
    def first(self) -> int:
        return self.window.offset + 1 if self.items else 0

    @property
    def last(self) -> int:
        return self.window.offset + len(self.items)

    @property
    def previous(self) -> int | None:
        return self.window.number - 1 if self.window.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.window.number + 1 if self.last < self.total and self.items else None

    @property
    def count(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.window.limit))


def cursor_of(request: HttpRequest) -> Cursor:
    """`?before=` or `?after=` a key, for lists of which nobody counts the pages; the newest rows if it is none."""
    before, after = _key(request.GET.get("before", "")), _key(request.GET.get("after", ""))
    return Cursor(before=before) if after is None else Cursor(after=after)


def _key(text: str) -> int | None:
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    return int(sign + digits) if digits.isascii() and digits.isdecimal() and len(digits) < 16 else None
