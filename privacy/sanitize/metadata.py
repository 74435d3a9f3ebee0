"""Identifiers in what a submission says beside its values: names of metrics, descriptions of data sources."""

from __future__ import annotations

import re

from privacy.sanitize.kinds import Kind
from privacy.sanitize.patterns import find
from privacy.sanitize.text import normalise

_TOP_LEVEL = re.compile(r"com|net|org|info|biz|edu|gov|mil|arpa|io|cloud|xyz|internal|intranet|lan|corp|onion")
_UNMISTAKABLE = ("_com", "-com", "_org", "-org")
_SEPARATORS = re.compile(r"[_-]")


def identifiers(text: str) -> frozenset[Kind]:
    """Kinds of what the pattern pack finds in a text."""
    return frozenset(found.kind for found in find(normalise(text)))


def identifiers_in_name(name: str) -> frozenset[Kind]:
    """Kinds of identifiers that a dotted lower-case name holds, also where `_` or `-` stands in the place of a dot.

    Parts of such names are joined by dots, so a host counts only under a well-known top-level domain, or a country's
    behind two labels: `recall.lateral` names a metric, `user.alice_example.com` a host.
    """
    spellings = (name, _SEPARATORS.sub(".", name), _SEPARATORS.sub(":", name))
    kinds = frozenset[Kind]().union(*map(identifiers, spellings)) - {Kind.HOST}
    return kinds | {Kind.HOST} if _is_host(name) else kinds


def _is_host(name: str) -> bool:
    *labels, last = name.split(".")
    is_country = len(labels) > 1 and len(last) == 2 and last.isalpha()
    return name.endswith(_UNMISTAKABLE) or (bool(labels) and (is_country or _TOP_LEVEL.fullmatch(last) is not None))
