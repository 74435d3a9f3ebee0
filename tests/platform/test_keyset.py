"""Pages by key: whichever way one walks, every row is shown once and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from flxdr.core.clock import ManualClock
from flxdr.platform.audit import search
from flxdr.platform.audit.search import EventFilter, events_matching
from flxdr.platform.keyset import Cursor, slice_of
from flxdr.platform.models import AuditEvent

NOBODY = 10**9
"""Numbers from here on are the test's own rows: above those that migrations wrote."""


def write(gaps: list[int], kinds: str) -> list[int]:
    """Events with gaps between their numbers, of kinds by letter; the numbers, newest first."""
    numbers, number = [], NOBODY
    for gap, kind in zip(gaps, kinds, strict=True):
        number += gap
        numbers.append(number)
        AuditEvent.objects.create(
            id=number, kind=f"test.{kind}", actor="a", subject=f"s {kind}", data={}, at=ManualClock().now()
        )
    return numbers[::-1]


class Walks(TestCase):
    """Down and up again, over any numbers."""

    @given(st.lists(st.integers(1, 9), max_size=25), st.integers(1, 7))
    @hypothesis_settings(max_examples=30)
    def test_down_and_up(self, gaps: list[int], limit: int) -> None:
        numbers = write(gaps, "x" * len(gaps))
        rows = AuditEvent.objects.filter(id__gt=NOBODY)
        seen: list[int] = []
        page = slice_of(rows, Cursor(), key="id", limit=limit)
        assert page.newer is None
        while True:
            seen += [event.pk for event in page.items]
            assert len(page.items) <= limit
            if page.older is None:
                break
            page = slice_of(rows, Cursor(before=page.older), key="id", limit=limit)
        assert seen == numbers
        climbed: list[int] = []
        page = slice_of(rows, Cursor(after=-1), key="id", limit=limit)
        while True:
            climbed = [event.pk for event in page.items] + climbed
            if page.newer is None:
                break
            page = slice_of(rows, Cursor(after=page.newer), key="id", limit=limit)
        assert climbed == numbers

    @given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from("xy")), max_size=25), st.integers(1, 4))
    @hypothesis_settings(max_examples=30)
    def test_a_search_that_looks_at_so_many_a_page_finds_all(self, made: list[tuple[int, str]], limit: int) -> None:
        numbers = write([gap for gap, _ in made], "".join(kind for _, kind in made))
        wanted = EventFilter(kind="test.", text="s x")
        expected = [number for number, (_, kind) in zip(numbers, made[::-1], strict=True) if kind == "x"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "SCANNED", 6)
            seen: list[int] = []
            cursor = Cursor()
            while True:
                found = events_matching(wanted, cursor, limit=limit)
                seen += [event.pk for event in found.slice.items]
                if found.slice.older is None or found.slice.older <= NOBODY:
                    break
                assert found.total is None
                cursor = Cursor(before=found.slice.older)
            assert seen == expected
            climbed: list[int] = []
            cursor = Cursor(after=NOBODY)
            while True:
                found = events_matching(wanted, cursor, limit=limit)
                climbed = [event.pk for event in found.slice.items] + climbed
                if found.slice.newer is None:
                    break
                cursor = Cursor(after=found.slice.newer)
            assert climbed == expected
