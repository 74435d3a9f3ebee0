"""Timestamps have one spelling."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core.clock import ManualClock, SystemClock, format_timestamp, parse_timestamp
from flxdr.core.errors import Malformed


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)))
def test_round_trip(moment: datetime) -> None:
    assert parse_timestamp(format_timestamp(moment)) == moment


def test_other_zones_are_converted() -> None:
    moment = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert format_timestamp(moment) == "2026-01-01T00:00:00.000000Z"


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        format_timestamp(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.000000+00:00",
        "2026-01-01 00:00:00.000000Z",
        "2026-13-01T00:00:00.000000Z",
        "2026-02-30T00:00:00.000000Z",
        "2026-01-01T24:00:00.000000Z",
        "2026-01-01T00:00:60.000000Z",
        "\uff12026-01-01T00:00:00.000000Z",
        "2026-01-01T00:00:00.000000Z\n",
        "",
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_timestamp(text)


def test_clocks() -> None:
    clock = ManualClock()
    before = clock.now()
    clock.advance(timedelta(seconds=5))
    assert clock.now() - before == timedelta(seconds=5)
    assert SystemClock().now().tzinfo is UTC
