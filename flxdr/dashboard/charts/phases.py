"""A stretch of time in phases, with marks on it: how a round went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_LEFT, _RIGHT = 4, 4
_BAR_TOP, _BAR_HEIGHT = 8, 22
_HEIGHT = 58
_LEAST = 2.0
"""A phase that took no time is still there to be seen."""


@dataclass(frozen=True)
class Phase:
    """A part of the time: `fill` is one of the classes `fill-1` to `fill-4`, `fill-bad`, `fill-none`."""

    name: str
    start: datetime
    end: datetime
    fill: str


@dataclass(frozen=True)
class Mark:
    """A moment on the bar."""

    name: str
    at: datetime


def phase_bar(
    phases: Sequence[Phase],
    marks: Sequence[Mark],
    *,
    title: str,
    deadline: datetime | None = None,
    width: int = 900,
) -> SafeString:
    """A bar over time with a legend, a tick for every mark, and a line at the deadline; its ends are named in UTC.

    Args:
        phases: at least one, in order.
        marks: what happened at a moment, such as an update that came.
        title: what the bar shows; read to those who do not see it, with the length of every phase.

    Raises:
        ValueError: no phases.
    """
    if not phases:
        raise ValueError("a bar needs at least one phase")
    first = phases[0].start
    last = max([phase.end for phase in phases] + ([deadline] if deadline is not None else []))
    scale = _Scale(first, last, width)
    return format_html(
        '<figure class="plot"><svg class="chart phases" viewBox="0 0 {} {}" role="img" aria-label="{}: {}">'
        '{}{}{}{}{}</svg><figcaption><ul class="legend">{}</ul></figcaption></figure>',
        width,
        _HEIGHT,
        title,
        "; ".join(f"{phase.name} {length(phase.end - phase.start)}" for phase in phases),
        _track(width),
        format_html_join("", "{}", ((_drawn(phase, scale),) for phase in phases)),
        format_html_join("", "{}", ((_tick(mark, scale),) for mark in marks)),
        "" if deadline is None else _line(deadline, scale),
        _ends(scale),
        format_html_join(
            "",
            '<li class="{}">{} {}</li>',
            ((f"of-{phase.fill}", phase.name, length(phase.end - phase.start)) for phase in phases),
        ),
    )


def length(duration: timedelta) -> str:
    """How long something took, in its two largest units."""
    seconds = max(0, int(duration.total_seconds()))
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


@dataclass(frozen=True)
class _Scale:
    first: datetime
    last: datetime
    width: int

    def x(self, moment: datetime) -> float:
        span = self.last - self.first
        share = (moment - self.first) / span if span else 0.0
        return _LEFT + min(max(share, 0.0), 1.0) * (self.width - _LEFT - _RIGHT)


def _drawn(phase: Phase, scale: _Scale) -> SafeString:
    left = scale.x(phase.start)
    wide = max(scale.x(phase.end) - left, _LEAST)
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}: {}</title></rect>',
        phase.fill,
        f"{min(left, scale.width - _RIGHT - _LEAST):.1f}",
        _BAR_TOP,
        f"{wide:.1f}",
        _BAR_HEIGHT,
        phase.name,
        length(phase.end - phase.start),
    )


def _track(width: int) -> SafeString:
    """What has not passed yet."""
    size = width - _LEFT - _RIGHT
    return format_html(
        '<rect class="track" x="{}" y="{}" width="{}" height="{}" rx="2"/>', _LEFT, _BAR_TOP, size, _BAR_HEIGHT
    )


def _tick(mark: Mark, scale: _Scale) -> SafeString:
    return format_html(
        '<line class="tick" x1="{0}" y1="{1}" x2="{0}" y2="{2}"><title>{3}</title></line>',
        f"{scale.x(mark.at):.1f}",
        _BAR_TOP + 3,
        _BAR_TOP + _BAR_HEIGHT - 3,
        mark.name,
    )


def _line(deadline: datetime, scale: _Scale) -> SafeString:
    return format_html(
        '<line class="deadline" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>',
        f"{scale.x(deadline):.1f}",
        _BAR_TOP - 6,
        _BAR_TOP + _BAR_HEIGHT + 6,
    )


def _ends(scale: _Scale) -> SafeString:
    y = _BAR_TOP + _BAR_HEIGHT + 22
    return format_html(
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text>',
        _LEFT,
        y,
        _named(scale.first),
        scale.width - _RIGHT,
        y,
        _named(scale.last),
    )


def _named(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
