"""Charts are plain SVG that a strict policy allows and a screen reader can read."""

import json
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.dashboard.charts.timeline import Series, timeline

SVG = "{http://www.w3.org/2000/svg}"


START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = [START + timedelta(days=day) for day in (0, 1, 4)]


def figure(*series: Series, moments: list[datetime] = DAYS) -> ElementTree.Element:
    return ElementTree.fromstring(timeline(moments, series, title="F1").replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" '))


def test_a_timeline_keeps_distances_in_time() -> None:
    dots = figure(Series("tgnn", [0.1, 0.2, 0.3])).findall(f".//{SVG}circle")
    first, second, third = (float(dot.get("cx", "")) for dot in dots)
    assert (third - second) == pytest.approx(3 * (second - first), abs=0.2)


def test_a_gap_breaks_the_line_and_draws_nothing() -> None:
    drawn = figure(Series("tgnn", [0.1, None, 0.3]))
    assert len(drawn.findall(f".//{SVG}circle")) == 2
    assert drawn.findall(f".//{SVG}polyline") == []


def test_a_timeline_says_its_last_values_and_hands_its_data_to_the_script() -> None:
    drawn = figure(Series("a <b>", [0.1, 0.2, 0.25]), Series("c", [None, 1.5, None]))
    svg = drawn.find(f"{SVG}svg")
    assert svg is not None
    assert svg.get("aria-label") == "F1. a <b>: 0.25; c: 1.5"
    data = json.loads(drawn.get("data-plot", ""))
    assert data["x"][0] == START.timestamp()
    assert data["series"][1] == {"name": "c", "values": [None, 1.5, None]}


@pytest.mark.parametrize(
    ("moments", "values"), [([], []), (DAYS, [None, None, None]), (DAYS, [0.1, 0.2])], ids=["none", "gaps", "short"]
)
def test_a_timeline_without_a_value_is_refused(moments: list[datetime], values: list[float | None]) -> None:
    with pytest.raises(ValueError, match="value"):
        timeline(moments, [Series("a", values)], title="F1")


def test_a_single_moment_stands_in_the_middle() -> None:
    (dot,) = figure(Series("a", [0.5]), moments=DAYS[:1]).findall(f".//{SVG}circle")
    assert 280 < float(dot.get("cx", "")) < 360


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_every_value_has_a_dot_inside_the_picture(values: list[float]) -> None:
    moments = [START + timedelta(hours=index) for index in range(len(values))]
    dots = figure(Series("a", values), moments=moments).findall(f".//{SVG}circle")
    assert len(dots) == len(values)
    assert all(0 <= float(dot.get("cx", "")) <= 640 and 0 <= float(dot.get("cy", "")) <= 200 for dot in dots)


def test_higher_values_stand_higher() -> None:
    low, middle, high = figure(Series("a", [0.5, 0.6, 0.9])).findall(f".//{SVG}circle")
    assert float(high.get("cy", "")) < float(middle.get("cy", "")) < float(low.get("cy", ""))
