"""Charts drawn on the server as SVG: testable, printable, and without script or inline style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 10, 24


@dataclass(frozen=True)
class Point:
    """One value of a series: its label on the horizontal axis and its height."""

    label: str
    value: float


def line_chart(points: Sequence[Point], *, title: str, width: int = 560, height: int = 170) -> SafeString:
    """A line over equally spaced labels; the vertical axis spans the values with a tenth of their range to spare.

    Args:
        points: at least one, oldest first.
        title: what the line shows; read to those who do not see the chart, together with the last value.
        width, height: of the view box, in user units; the page scales the picture to its column.

    Raises:
        ValueError: no points.
    """
    if not points:
        raise ValueError("a chart needs at least one point")
    low, high = _span([point.value for point in points])
    step = (width - _LEFT - _RIGHT) / max(len(points) - 1, 1)
    plot_height = height - _TOP - _BOTTOM
    places = [
        (_LEFT + index * step, _TOP + plot_height * (high - point.value) / (high - low))
        for index, point in enumerate(points)
    ]
    last = points[-1]
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}: {} at {}">{}{}{}{}</svg>',
        width,
        height,
        title,
        f"{last.value:.3f}",
        last.label,
        _axis(low, high, width=width, height=height),
        format_html('<polyline class="line" points="{}"/>', " ".join(f"{x:.1f},{y:.1f}" for x, y in places)),
        format_html_join(
            "",
            '<circle class="dot" cx="{}" cy="{}" r="3"><title>{}: {}</title></circle>',
            ((f"{x:.1f}", f"{y:.1f}", p.label, f"{p.value:.4f}") for (x, y), p in zip(places, points, strict=True)),
        ),
        _labels(points, places, height=height),
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) / 10 or 0.05
    return low - margin, high + margin


def _axis(low: float, high: float, *, width: int, height: int) -> SafeString:
    bottom = height - _BOTTOM
    return format_html(
        '<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="{1}"/>'
        '<line class="axis" x1="{0}" y1="{3}" x2="{2}" y2="{3}"/>'
        '<text x="{4}" y="{5}" text-anchor="end">{6}</text><text x="{4}" y="{1}" text-anchor="end">{7}</text>',
        _LEFT,
        bottom,
        width - _RIGHT,
        _TOP,
        _LEFT - 6,
        _TOP + 8,
        f"{high:.3f}",
        f"{low:.3f}",
    )


def _labels(points: Sequence[Point], places: Sequence[tuple[float, float]], *, height: int) -> SafeString:
    every = -(-len(points) // 10)
    return format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (f"{x:.1f}", height - 7, point.label)
            for index, (point, (x, _)) in enumerate(zip(points, places, strict=True))
            if index % every == 0
        ),
    )
