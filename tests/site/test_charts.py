"""Charts are plain SVG that a strict policy allows and a screen reader can read."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.dashboard.charts.line import Point, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def draw(points: list[Point]) -> ElementTree.Element:
    return ElementTree.fromstring(line_chart(points, title="f1").replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_every_value_has_a_dot_inside_the_picture(values: list[float]) -> None:
    svg = draw([Point(str(index), value) for index, value in enumerate(values)])
    dots = svg.findall(f"{SVG}circle")
    assert len(dots) == len(values)
    assert all(0 <= float(dot.get("cx", "")) <= 560 and 0 <= float(dot.get("cy", "")) <= 170 for dot in dots)


def test_higher_values_stand_higher() -> None:
    low, high = draw([Point("1", 0.5), Point("2", 0.9)]).findall(f"{SVG}circle")
    assert float(high.get("cy", "")) < float(low.get("cy", ""))


def test_labels_are_escaped_and_the_last_value_is_read_out() -> None:
    svg = draw([Point("<b>", 0.25)])
    assert svg.get("aria-label") == "f1: 0.250 at <b>"


def test_no_points_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        line_chart([], title="f1")
