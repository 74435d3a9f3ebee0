"""Counts by kind as horizontal bars: drawn on the server, for print and without script."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_NAMES, _FIGURES, _ROW, _BAR = 150, 60, 24, 14
_LONGEST = 22


def bars(counts: Mapping[str, int], *, title: str, width: int = 420) -> SafeString:
    """A bar for every kind, in the order given, as long as its part of the largest, with its figure beside it.

    Args:
        counts: at least one; none is negative.
        title: what is counted; read with all figures to those who do not see the bars.

    Raises:
        ValueError: nothing to draw, or a negative count.
    """
    if not counts or min(counts.values()) < 0:
        raise ValueError("bars need at least one count, and none below zero")
    largest = max(counts.values()) or 1
    scale = (width - _NAMES - _FIGURES) / largest
    return format_html(
        '<svg class="chart bars" viewBox="0 0 {} {}" role="img" aria-label="{}: {}">{}</svg>',
        width,
        _ROW * len(counts),
        title,
        ", ".join(f"{name} {count}" for name, count in counts.items()),
        format_html_join(
            "",
            '<text x="{}" y="{}" text-anchor="end">{}</text><rect class="fill-1" x="{}" y="{}" width="{}" height="{}"/>'
            '<text x="{}" y="{}">{}</text>',
            (
                (
                    _NAMES - 8,
                    row * _ROW + _BAR,
                    _cut(name),
                    _NAMES,
                    row * _ROW + 3,
                    f"{count * scale:.1f}",
                    _BAR,
                    f"{_NAMES + count * scale + 6:.1f}",
                    row * _ROW + _BAR,
                    count,
                )
                for row, (name, count) in enumerate(counts.items())
            ),
        ),
    )


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
