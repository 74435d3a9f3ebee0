"""Where a model comes from, drawn as a tree on the server: the newest release on top, its ancestors below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH = 380
_ROW, _TOP, _LEFT, _STEP, _RADIUS = 48, 24, 18, 26, 7
_LONGEST = 34
"""Characters of a label that fit; the whole of it is its title."""


@dataclass(frozen=True)
class Node:
    """A release.

    Attributes:
        label, note: what it is, and where to find it.
        link: the page of its block.
        parent: the place of its parent among the nodes; None: it is not among them.
        has_parent: whether it has one at all.
        column: 0 for the lineage itself, 1 for what branched off.
        withdrawn: what a withdrawn one is called; empty: it stands.
    """

    label: str
    note: str
    link: str
    parent: int | None
    has_parent: bool
    column: int
    withdrawn: str = ""


def lineage_chart(nodes: Sequence[Node], *, title: str) -> SafeString:
    """The nodes from top to bottom, each above its parent, with an edge to it.

    A release that stands is a filled circle, a withdrawn one a crossed-out square: told apart without colour. Where the
    parent is on an older page the edge is dashed and ends at the bottom.

    Args:
        nodes: at least one, newest first.
        title: read to those who do not see the drawing; the page lists the same releases.

    Raises:
        ValueError: no nodes, or a parent above its child.
    """
    if not nodes:
        raise ValueError("a lineage needs at least one release")
    height = _TOP + _ROW * len(nodes)
    return format_html(
        '<svg class="chart lineage" viewBox="0 0 {} {}" role="group" aria-label="{}">{}{}</svg>',
        WIDTH,
        height,
        title,
        format_html_join("", '<path class="{}" d="{}"/>', _edges(nodes, height)),
        format_html_join("", "{}", ((_drawn(index, node, nodes),) for index, node in enumerate(nodes))),
    )


def _edges(nodes: Sequence[Node], height: int) -> Iterator[tuple[str, str]]:
    for index, node in enumerate(nodes):
        if not node.has_parent:
            continue
        x, y = _place(index, node)
        if node.parent is None:
            yield "edge beyond", f"M{x} {y}V{height}"
            continue
        if node.parent <= index:
            raise ValueError(f"release {index} stands below its parent {node.parent}")
        parent_x, parent_y = _place(node.parent, nodes[node.parent])
        bend = parent_y - _ROW // 2
        yield "edge", f"M{x} {y}V{bend}L{parent_x} {parent_y}" if x != parent_x else f"M{x} {y}V{parent_y}"


def _drawn(index: int, node: Node, nodes: Sequence[Node]) -> SafeString:
    x, y = _place(index, node)
    text_x = _LEFT + _STEP * (1 + max(each.column for each in nodes))
    whole = " ".join(filter(None, (node.label, node.withdrawn, node.note)))
    return format_html(
        '<a href="{}"><title>{}</title>{}<text class="label" x="{}" y="{}">{}</text><text x="{}" y="{}">{}</text></a>',
        node.link,
        whole,
        _crossed(x, y)
        if node.withdrawn
        else format_html('<circle class="dot" cx="{}" cy="{}" r="{}"/>', x, y, _RADIUS),
        text_x,
        y - 2,
        _fitting(f"{node.label} · {node.withdrawn}" if node.withdrawn else node.label),
        text_x,
        y + 13,
        _fitting(node.note),
    )


def _crossed(x: int, y: int) -> SafeString:
    r, c = _RADIUS, _RADIUS - 3
    return format_html(
        '<rect class="withdrawn" x="{}" y="{}" width="{}" height="{}"/><path class="cross" d="{}"/>',
        x - r,
        y - r,
        2 * r,
        2 * r,
        f"M{x - c} {y - c}L{x + c} {y + c}M{x - c} {y + c}L{x + c} {y - c}",
    )


def _place(index: int, node: Node) -> tuple[int, int]:
    return _LEFT + _STEP * node.column, _TOP + _ROW * index


def _fitting(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
