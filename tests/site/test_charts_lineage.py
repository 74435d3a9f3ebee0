"""The lineage as a drawing: every release above its parent, withdrawn ones told apart without colour."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.dashboard.charts.lineage import WIDTH, Node, lineage_chart

SVG = "{http://www.w3.org/2000/svg}"
NODE = Node("m v1", "block 4", "/ledger/blocks/4/", parent=None, has_parent=False, column=0)


def draw(nodes: list[Node]) -> ElementTree.Element:
    text = lineage_chart(nodes, title="lineage").replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1)
    return ElementTree.fromstring(text)


def test_a_standing_release_is_a_circle_and_a_withdrawn_one_a_crossed_square() -> None:
    svg = draw([replace(NODE, parent=1, has_parent=True, withdrawn="withdrawn"), NODE])
    first, second = svg.findall(f"{SVG}a")
    assert [len(first.findall(f"{SVG}{tag}")) for tag in ("circle", "rect", "path")] == [0, 1, 1]
    assert [len(second.findall(f"{SVG}{tag}")) for tag in ("circle", "rect", "path")] == [1, 0, 0]
    assert "".join(first.itertext()).count("withdrawn") == 2
    assert first.get("href") == "/ledger/blocks/4/"


def test_an_edge_leads_to_the_parent_and_a_dashed_one_out_of_the_picture() -> None:
    svg = draw([replace(NODE, parent=1, has_parent=True), replace(NODE, has_parent=True)])
    inner, outer = svg.findall(f"{SVG}path")
    assert (inner.get("class"), inner.get("d")) == ("edge", "M18 24V72")
    assert (outer.get("class"), outer.get("d")) == ("edge beyond", "M18 72V120")


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_all_releases_fit_in_order(branches: list[bool]) -> None:
    last = len(branches) - 1
    nodes = [
        replace(NODE, parent=index + 1 if index < last else None, has_parent=index < last, column=int(branch))
        for index, branch in enumerate(branches)
    ]
    svg = draw(nodes)
    dots = [link.find(f"{SVG}circle") for link in svg.findall(f"{SVG}a")]
    heights = [float(dot.get("cy", "")) for dot in dots if dot is not None]
    assert heights == sorted(heights)
    assert len(set(heights)) == len(branches)
    bottom = float(svg.get("viewBox", "").split()[3])
    assert all(0 < y < bottom for y in heights)
    assert len(svg.findall(f"{SVG}path")) == last


def test_names_are_escaped_and_cut_to_the_picture_but_kept_whole_as_titles() -> None:
    name = "<b>" + "x" * 80
    (link,) = draw([replace(NODE, label=name)]).findall(f"{SVG}a")
    shown = link.findall(f"{SVG}text")[0].text or ""
    assert shown.startswith("<b>xxx")
    assert len(shown) * 8 < WIDTH
    title = link.find(f"{SVG}title")
    assert title is not None
    assert name in (title.text or "")


def test_nothing_and_a_parent_above_its_child_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one release"):
        lineage_chart([], title="lineage")
    with pytest.raises(ValueError, match="below its parent"):
        lineage_chart([replace(NODE, parent=0, has_parent=True)], title="lineage")
