"""The bars of an organisation's parts: one a round, the fate in a mark and not in the colour alone."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.dashboard.charts.participation import Bar, participation_chart

SVG = "{http://www.w3.org/2000/svg}"
OUTCOMES = ("expected", "submitted", "counted", "uncounted", "left_out", "missed")
NORMS = st.none() | st.floats(0, 1e9)


def figure(bars: list[Bar]) -> ElementTree.Element:
    drawn = participation_chart(bars, title="Parts").replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1)
    return ElementTree.fromstring(drawn)


def shapes(bar: Bar) -> list[tuple[str, str | None]]:
    """What is drawn for one bar beside its title."""
    (group,) = figure([bar]).iter(f"{SVG}g")
    return [(shape.tag.removeprefix(SVG), shape.get("class")) for shape in group[1:]]


@given(st.lists(st.builds(Bar, st.text(max_size=5), st.sampled_from(OUTCOMES), NORMS), min_size=1, max_size=60))
def test_every_part_is_inside_the_picture(bars: list[Bar]) -> None:
    drawn = participation_chart(bars, title="Parts")
    assert drawn.count("<g>") == len(bars)
    for rect in ElementTree.fromstring(_printable(drawn)).iter(f"{SVG}rect"):
        x, y, width, height = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
        assert x >= 48
        assert x + width <= 640
        assert y + 1e-6 >= 18
        assert y + height <= 112 + 1e-6


def _printable(drawn: str) -> str:
    """The drawing without characters that XML cannot hold, which HTML replaces."""
    text = "".join(char for char in drawn if char.isprintable() or char == "\n")
    return text.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("counted", [("rect", "fill-3")]),
        ("submitted", [("rect", "fill-1")]),
        ("left_out", [("rect", "fill-2"), ("path", "mark")]),
        ("uncounted", [("rect", "fill-none"), ("path", "mark")]),
        ("missed", [("circle", "ring")]),
        ("expected", [("circle", "ring")]),
    ],
)
def test_the_fate_has_a_shape(outcome: str, expected: list[tuple[str, str]]) -> None:
    assert shapes(Bar("round-1", outcome, None if expected[0][0] == "circle" else 1.0)) == expected


def test_an_unknown_norm_is_not_drawn_as_one() -> None:
    assert shapes(Bar("round-1", "counted", None)) == [("rect", "hollow")]


def test_higher_norms_stand_higher() -> None:
    low, high = figure([Bar("1", "counted", 0.5), Bar("2", "counted", 1.0)]).iter(f"{SVG}rect")
    assert float(high.get("height", "")) == pytest.approx(2 * float(low.get("height", "")), rel=0.01)


def test_it_is_read_out_and_escaped() -> None:
    bars = [Bar("<b>", "counted", 1.0), Bar("2", "counted", 1.0), Bar("3", "missed", None)]
    (svg,) = figure(bars).iter(f"{SVG}svg")
    assert svg.get("aria-label") == "Parts. counted: 2, missed: 1"
    assert [title.text for title in svg.iter(f"{SVG}title")] == ["<b>: counted, 1", "2: counted, 1", "3: missed"]


def test_no_bars_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one bar"):
        participation_chart([], title="Parts")
