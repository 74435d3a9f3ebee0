"""Values over time: drawn on the server as SVG, for print and without script; a script makes it explorable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 16, 10, 24
COLOURS = 4


@dataclass(frozen=True)
class Series:
    """A line: what it is called, and its value at each moment (None: a gap)."""

    name: str
    values: Sequence[float | None]


def timeline(
    moments: Sequence[datetime], series: Sequence[Series], *, title: str, width: int = 640, height: int = 200
) -> SafeString:
    """A figure of lines over a common axis of time, with a legend.

    Args:
        moments: at least one, oldest first.
        series: up to four, each with as many values as there are moments.
        title: what the lines show; read to those who do not see them, with the last value of each.

    Raises:
        ValueError: no moments, no value at all, too many lines, or values that do not belong to moments.
    """
    known = [value for each in series for value in each.values if value is not None]
    if not moments or not known:
        raise ValueError("a timeline needs at least one value")
    if len(series) > COLOURS or any(len(each.values) != len(moments) for each in series):
        raise ValueError(f"at most {COLOURS} series, each with one value a moment")
    axis = _Axis(moments, min(known), max(known), width, height)
    data = {
        "x": [round(moment.timestamp()) for moment in moments],
        "series": [{"name": each.name, "values": list(each.values)} for each in series],
    }
    return format_html(
        '<figure class="plot" data-plot="{}">'
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
        '<figcaption><ul class="legend">{}</ul></figcaption></figure>',
        json.dumps(data, separators=(",", ":")),
        width,
        height,
        f"{title}. {_spoken(series)}",
        axis.draw(),
        format_html_join("", "{}", ((_line(each, index + 1, axis),) for index, each in enumerate(series))),
        format_html_join(
            "",
            '<li class="series-{}">{}</li>',
            ((index + 1, each.name) for index, each in enumerate(series)),
        ),
    )


@dataclass(frozen=True)
class _Axis:
    moments: Sequence[datetime]
    lowest: float
    highest: float
    width: int
    height: int

    @property
    def margin(self) -> float:
        return (self.highest - self.lowest) / 10 or 0.05

    def x(self, index: int) -> float:
        first, last = self.moments[0], self.moments[-1]
        share = (self.moments[index] - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.lowest - self.margin, self.highest + self.margin
        return _TOP + (high - value) / (high - low) * (self.height - _TOP - _BOTTOM)

    def draw(self) -> SafeString:
        levels = [self.lowest, (self.lowest + self.highest) / 2, self.highest]
        lines = format_html_join(
            "",
            '<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="{1}"/>'
            '<text x="{3}" y="{4}" text-anchor="end">{5}</text>',
            (
                (_LEFT, round(y, 1), self.width - _RIGHT, _LEFT - 6, round(y + 4, 1), f"{level:.3g}")
                for level, y in ((level, self.y(level)) for level in dict.fromkeys(levels))
            ),
        )
        ends = [(0, "start")] if len(self.moments) == 1 else [(0, "start"), (len(self.moments) - 1, "end")]
        labels = format_html_join(
            "",
            '<text x="{}" y="{}" text-anchor="{}">{}</text>',
            ((f"{self.x(index):.1f}", self.height - 6, anchor, self._named(index)) for index, anchor in ends),
        )
        return lines + labels

    def _named(self, index: int) -> str:
        is_long = self.moments[-1] - self.moments[0] > timedelta(days=2)
        return self.moments[index].astimezone(UTC).strftime("%Y-%m-%d" if is_long else "%Y-%m-%d %H:%M")


def _line(series: Series, number: int, axis: _Axis) -> SafeString:
    """One polyline for every run without a gap, and a dot for every value."""
    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(series.values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((axis.x(index), axis.y(value)))
    places = [place for run in runs for place in run]
    return format_html(
        '<g class="series-{}">{}{}</g>',
        number,
        format_html_join(
            "",
            '<polyline class="line" points="{}"/>',
            ((" ".join(f"{x:.1f},{y:.1f}" for x, y in run),) for run in runs if len(run) > 1),
        ),
        format_html_join(
            "", '<circle class="dot" cx="{}" cy="{}" r="2.5"/>', ((f"{x:.1f}", f"{y:.1f}") for x, y in places)
        ),
    )


def _spoken(series: Sequence[Series]) -> str:
    last = {each.name: next((v for v in reversed(each.values) if v is not None), None) for each in series}
    return "; ".join(f"{name}: {value:.4g}" for name, value in last.items() if value is not None)
