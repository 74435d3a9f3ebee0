"""How an organisation's updates went, round by round: a bar as high as the update's norm, and a mark for its fate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flxdr.dashboard.states import word_of

_LEFT, _RIGHT, _TOP, _BASE = 48, 8, 18, 112
_WIDTH, _HEIGHT = 640, 132
_WIDEST = 18.0
_FILLS = {"counted": "fill-3", "submitted": "fill-1", "left_out": "fill-2", "uncounted": "fill-none"}


@dataclass(frozen=True)
class Bar:
    """A part in a round: its name, what became of it, and the update's norm where it is known."""

    label: str
    outcome: str
    norm: float | None


def participation_chart(bars: Sequence[Bar], *, title: str) -> SafeString:
    """Bars side by side, oldest first, with a legend of what is there.

    The colour only underlines the outcome: an update that was left out has a cross above its bar, one that did not
    count for another reason a line, one that never came a ring on the base line. An update whose norm nobody knows
    (of a masked round) is a bar of half the height, drawn hollow.

    Raises:
        ValueError: no bars.
    """
    if not bars:
        raise ValueError("a chart needs at least one bar")
    highest = max((bar.norm for bar in bars if bar.norm is not None), default=0.0)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(bars), 12)
    counts = Counter(bar.outcome for bar in bars)
    spoken = ", ".join(f"{word_of(outcome)}: {count}" for outcome, count in counts.items())
    return format_html(
        '<figure class="plot"><svg class="chart parts" viewBox="0 0 {} {}" role="img" aria-label="{}. {}">{}{}</svg>'
        '<figcaption><ul class="legend">{}</ul></figcaption></figure>',
        _WIDTH,
        _HEIGHT,
        title,
        spoken,
        _axis(highest, bars),
        format_html_join("", "{}", ((_bar(bar, index, step, highest),) for index, bar in enumerate(bars))),
        format_html_join(
            "",
            '<li class="part {}">{} <span class="quiet">{}</span></li>',
            ((outcome, word_of(outcome), count) for outcome, count in counts.items()),
        ),
    )


def _axis(highest: float, bars: Sequence[Bar]) -> SafeString:
    levels = [(_BASE, "0")] + ([(_TOP, f"{highest:.3g}")] if highest else [])
    lines = format_html_join(
        "",
        '<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="{1}"/><text x="{3}" y="{4}" text-anchor="end">{5}</text>',
        ((_LEFT, y, _WIDTH - _RIGHT, _LEFT - 6, y + 4, name) for y, name in levels),
    )
    ends = [(_LEFT, "start", bars[0].label)] + ([(_WIDTH - _RIGHT, "end", bars[-1].label)] if len(bars) > 1 else [])
    names = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        ((x, _HEIGHT - 4, anchor, name) for x, anchor, name in ends),
    )
    return lines + names


def _bar(bar: Bar, index: int, step: float, highest: float) -> SafeString:
    width = min(_WIDEST, step * 0.72)
    middle = _LEFT + (index + 0.5) * step
    if bar.outcome in ("missed", "expected"):
        mark = format_html('<circle class="ring" cx="{}" cy="{}" r="3.5"/>', f"{middle:.1f}", _BASE - 6)
        return _titled(bar, mark)
    known = bar.norm is not None and highest > 0
    height = max(2.0, (_BASE - _TOP) * (bar.norm or 0.0) / highest) if known else (_BASE - _TOP) / 2
    top = _BASE - height
    body = format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>',
        _FILLS.get(bar.outcome, "fill-none") if known else "hollow",
        f"{middle - width / 2:.1f}",
        f"{top:.1f}",
        f"{width:.1f}",
        f"{height:.1f}",
    )
    return _titled(bar, body + _mark(bar.outcome, middle, top - 6))


def _mark(outcome: str, x: float, y: float) -> SafeString:
    if outcome == "left_out":
        path = f"M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6"
    elif outcome == "uncounted":
        path = f"M{x - 3:.1f} {y:.1f}h6"
    else:
        return SafeString("")
    return format_html('<path class="mark" d="{}"/>', path)


def _titled(bar: Bar, drawn: SafeString) -> SafeString:
    norm = "" if bar.norm is None else f", {bar.norm:.4g}"
    return format_html("<g><title>{}: {}{}</title>{}</g>", bar.label, word_of(bar.outcome), norm, drawn)
