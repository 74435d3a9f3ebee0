"""Bars are plain SVG: as long as their counts, escaped, and read out in full."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.dashboard.charts.bars import bars

SVG = "{http://www.w3.org/2000/svg}"
NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), min_size=1, max_size=60)


def draw(counts: dict[str, int]) -> ElementTree.Element:
    return ElementTree.fromstring(bars(counts, title="found").replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


@given(st.dictionaries(NAMES, st.integers(0, 10**12), min_size=1, max_size=20))
def test_every_count_has_a_bar_inside_the_picture_as_long_as_its_part_of_the_largest(counts: dict[str, int]) -> None:
    rows = draw(counts).findall(f"{SVG}rect")
    assert len(rows) == len(counts)
    longest = max(counts.values()) or 1
    for row, count in zip(rows, counts.values(), strict=True):
        assert float(row.get("width", "")) == pytest.approx(210 * count / longest, abs=0.06)
        assert float(row.get("x", "")) + float(row.get("width", "")) <= 420


def test_names_are_escaped_cut_in_the_picture_and_read_out_whole() -> None:
    name = "<b>" + "x" * 40
    svg = draw({name: 3})
    assert svg.get("aria-label") == f"found: {name} 3"
    texts = [text.text or "" for text in svg.findall(f"{SVG}text")]
    assert texts[0].startswith("<b>xxx")
    assert texts[0].endswith("…")
    assert texts[1] == "3"


@pytest.mark.parametrize("counts", [{}, {"a": -1}])
def test_nothing_and_less_than_nothing_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one count"):
        bars(counts, title="found")
