"""The bar of a round's phases is to scale, readable without sight, and survives rounds that took no time."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from flxdr.dashboard.charts.phases import Mark, Phase, length, phase_bar

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2026, 1, 1, tzinfo=UTC)


def moment(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def draw(phases: list[Phase], marks: list[Mark], deadline: datetime | None = None) -> ElementTree.Element:
    drawn = phase_bar(phases, marks, title="round <1>", deadline=deadline)
    svg = ElementTree.fromstring(drawn.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ')).find(f"{SVG}svg")
    assert svg is not None
    return svg


PHASES = [Phase("collection", moment(0), moment(30), "fill-1"), Phase("approvals", moment(30), moment(40), "fill-3")]


def test_widths_are_to_scale() -> None:
    _track, first, second = draw(PHASES, []).findall(f"{SVG}rect")
    assert float(first.get("width", "")) == pytest.approx(3 * float(second.get("width", "")), rel=0.01)


def test_lengths_are_read_out() -> None:
    assert draw(PHASES, []).get("aria-label") == "round <1>: collection 30 min 0 s; approvals 10 min 0 s"


def test_marks_and_the_deadline_stand_at_their_time() -> None:
    svg = draw(PHASES, [Mark("org-a", moment(20))], deadline=moment(80))
    mark, deadline = svg.findall(f"{SVG}line")
    assert float(mark.get("x1", "")) == pytest.approx(900 / 4, abs=4)
    assert float(deadline.get("x1", "")) == pytest.approx(896, abs=0.2)
    assert [text.text for text in svg.findall(f"{SVG}text")] == ["2026-01-01 00:00:00 UTC", "2026-01-01 01:20:00 UTC"]


def test_a_round_that_took_no_time_is_seen() -> None:
    _track, only = draw([Phase("collection", START, START, "fill-1")], [Mark("org-a", START)]).findall(f"{SVG}rect")
    assert float(only.get("width", "")) == 2


def test_a_bar_without_phases_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one phase"):
        phase_bar([], [], title="nothing")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90_000, "1 d 1 h")]
)
def test_lengths_have_their_two_largest_units(seconds: int, text: str) -> None:
    assert length(timedelta(seconds=seconds)) == text
