"""Names in a sentence: a few are told, many are counted."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import ngettext

NAMED = 8


def listed(names: Sequence[str], most: int = NAMED) -> str:
    """`a, b, c`, and of more than `most` the first ones and how many others there are."""
    shown, others = names[:most], len(names) - most
    text = ", ".join(shown)
    if others <= 0:
        return text
    return text + " " + ngettext("and %(count)d other", "and %(count)d others", others) % {"count": others}
