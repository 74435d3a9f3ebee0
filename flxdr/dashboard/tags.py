"""What templates say in one way only: a moment, a state, a hash, a share. Loaded as `{% load pages %}`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from flxdr.core.clock import SystemClock
from flxdr.dashboard.names import listed
from flxdr.dashboard.states import tone_of, word_of

register = template.Library()
_CLOCK = SystemClock()
_HASH_SHOWN = 12
_HASH = re.compile(r"\b[0-9a-f]{64}\b")


@register.simple_tag
def when(moment: datetime | None, none: str | None = None) -> SafeString:
    """A moment in UTC to the second, and how long ago or ahead it is; `none` where there is none.

    The age is as coarse as its unit, so that an unchanged page stays the same bytes for as long as possible; a script
    keeps it true while the page is open.
    """
    if moment is None:
        return format_html('<span class="quiet">{}</span>', _("never") if none is None else none)
    moment = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}"><span class="utc">{} UTC</span> <span class="age">{}</span></time>',
        moment.isoformat(timespec="seconds"),
        moment.strftime("%Y-%m-%d %H:%M:%S"),
        age_of(moment, _CLOCK.now()),
    )


def age_of(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, or how far ahead it is, in its largest whole unit."""
    seconds = int(abs((now - moment).total_seconds()))
    if seconds < 60:
        return _("just now") if moment <= now else _("in less than a minute")
    for size, singular, plural in (
        (86_400, "%(count)d day", "%(count)d days"),
        (3_600, "%(count)d h", "%(count)d h"),
        (60, "%(count)d min", "%(count)d min"),
    ):
        if seconds >= size:
            count = seconds // size
            length = ngettext(singular, plural, count) % {"count": count}
            break
    return (_("%(length)s ago") if moment <= now else _("in %(length)s")) % {"length": length}


@register.simple_tag
def state(value: str, label: str | None = None) -> SafeString:
    """A state as a badge: always a word, the colour only underlines it; a state nobody knows is grey."""
    return format_html('<span class="badge {}">{}</span>', tone_of(value), label or word_of(value))


@register.filter
def word(value: str) -> str:
    """What a state is called, without the badge."""
    return word_of(value)


@register.filter
def plain(value: float) -> str:
    """A number as a program writes it, for values of forms."""
    return f"{value:g}"


@register.filter
def signed(change: float | None) -> str:
    """A change with its sign; a whole number stays one."""
    if change is None:
        return "-"
    return f"{change:+d}" if isinstance(change, int) else f"{change:+.4f}"


@register.filter
def percent(share: float) -> str:
    """A part of one, in per cent."""
    return f"{100 * share:.1f} %"


@register.simple_tag
def block_link(height: int | None) -> SafeString:
    """A block by its height."""
    if height is None:
        return format_html('<span class="quiet">{}</span>', _("none"))
    return format_html('<a href="{}">{}</a>', reverse("ledger:block", args=[height]), height)


@register.simple_tag
def short(digest: str | None) -> SafeString:
    """The beginning of a hash; the whole of it is there to be read out, copied and printed."""
    if not digest:
        return format_html('<span class="quiet">{}</span>', _("none"))
    return format_html('<code class="hash" title="{}">{}…</code>', digest, digest[:_HASH_SHOWN])


@register.filter
def brief(text: str) -> str:
    """A sentence in which every hash is cut to its beginning."""
    return _HASH.sub(lambda found: f"{found[0][:_HASH_SHOWN]}…", text)


@register.simple_tag
def gauge(value: float | None, maximum: float, label: str) -> SafeString:
    """A meter; its figures stand beside it in the page's text."""
    return format_html(
        '<meter min="0" max="{}" value="{}" aria-label="{}"></meter>',
        f"{maximum:.6f}",
        f"{min(max(value or 0.0, 0.0), maximum):.6f}",
        label,
    )


@register.simple_tag
def score_bar(score: float) -> SafeString:
    """An anomaly score as a bar beside its figure: up to twice the cut-off at 1, which is marked."""
    return format_html(
        '<svg class="chart score" viewBox="0 0 40 8" aria-hidden="true"><rect class="fill-none" width="40" height="8"/>'
        '<rect class="{}" width="{}" height="8"/><line class="tick" x1="20" y1="0" x2="20" y2="8"/></svg>',
        "fill-bad" if score > 1 else "fill-1",
        f"{min(max(score, 0.0), 2.0) * 20:.1f}",
    )


@register.simple_tag(takes_context=True)
def here(context: dict[str, Any], *names: str) -> SafeString:
    """`aria-current` for a link in the navigation to the page that is shown, or to one above it."""
    match = getattr(context.get("request"), "resolver_match", None)
    is_here = match is not None and (match.url_name in names or match.namespace in names)
    return SafeString(' aria-current="page"' if is_here else "")


@register.filter
def names(values: Sequence[str]) -> str:
    """Names in a sentence; of many the first ones, and how many others there are."""
    return listed(values)


@register.filter
def ppm(value: int | None) -> str:
    """A number that is kept in millionths, in units."""
    return "-" if value is None else f"{value / 1_000_000:g}"


@register.filter
def figure(value: Any) -> Any:
    """A value in a table of unlike things: a hash by its beginning, a number to four places, a word for nothing."""
    if value is None:
        return _("none")
    if isinstance(value, float):
        return f"{value:.4f}"
    return short(value) if isinstance(value, str) and _HASH.fullmatch(value) else value
