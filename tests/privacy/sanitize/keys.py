"""Pseudonyms of two organisations, a sanitiser of the first, and what it makes of a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privacy.sanitize.fields import kind_of
from privacy.sanitize.pseudonyms import Pseudonyms
from privacy.sanitize.records import Sanitizer
from privacy.sanitize.report import Report

SECRET, OTHER_SECRET = bytes(range(32)), bytes(range(32, 64))
OURS, THEIRS = Pseudonyms(SECRET), Pseudonyms(OTHER_SECRET)
SANITIZER = Sanitizer(OURS)


def sanitized(record: Mapping[str, Any]) -> tuple[dict[str, Any], Report]:
    """What may leave of a record of the kind that it shows, and the counts."""
    kind, report = kind_of(record), Report()
    assert kind
    return Sanitizer(OURS).record(record, kind, report), report
