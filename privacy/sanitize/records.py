"""The sanitiser: a record goes in, what may leave of it comes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from ipaddress import ip_address
from types import NoneType
from typing import Any

from privacy.errors import CategoryUnknown
from privacy.sanitize.attack import Catalogue
from privacy.sanitize.fields import RecordKind, Treatment
from privacy.sanitize.kinds import TOKEN, Kind
from privacy.sanitize.metadata import identifiers
from privacy.sanitize.patterns import find
from privacy.sanitize.pseudonyms import Pseudonyms
from privacy.sanitize.report import Report
from privacy.sanitize.text import normalise

MAX_DEPTH = 32
"""Levels of nesting; what lies deeper is dropped."""
MAX_PASSES = 8
"""Passes after which a text has to be clean; one that is not was made to deceive, and nothing of it leaves."""
_REMEMBERED = 1 << 14
_REMEMBERED_LENGTH = 256
_UNSET = frozenset({"", "-", "(empty)"})
_MEASURE = re.compile(
    r"[+-]?(?:\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?|0x[0-9a-f]{1,16})"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)

_SCALAR = (str, int, float, NoneType)

Cleaned = tuple[str, tuple[Kind, ...]]
"""A text that may leave, and the kinds of what was replaced in it."""


class Sanitizer:
    """Applies the allow-lists and the pattern pack under one organisation's pseudonyms.

    A bounded number of short texts is remembered, in memory only: logs repeat themselves.
    """

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        text = lru_cache(_REMEMBERED)(self._clean_text)
        self._cleaners = {
            Treatment.TEXT: text,
            Treatment.MEASURE: text,
            Treatment.HOST: lru_cache(_REMEMBERED)(partial(self._whole, kind_of_text=_kind_of_host)),
            Treatment.USER: lru_cache(_REMEMBERED)(partial(self._whole, kind_of_text=lambda _: Kind.USER)),
        }

    def text(self, text: str) -> Cleaned:
        """`text` with every identifier replaced; cleaning the answer again changes nothing."""
        return self.clean(text, Treatment.TEXT)

    def clean(self, text: str, treatment: Treatment) -> Cleaned:
        """What may leave of a text: hosts and users are replaced as a whole, identifiers in everything else."""
        cleaner = self._cleaners[treatment]
        return cleaner(text) if len(text) <= _REMEMBERED_LENGTH else cleaner.__wrapped__(text)

    def record(self, record: Mapping[str, Any], kind: RecordKind, report: Report) -> dict[str, Any]:
        """The allowed fields of `record`, treated as its kind says, in the record's own structure."""
        report.records += 1
        return _Cleaning(self, kind.fields, report).mapping(record, "", 0)

    def field_name(self, name: str) -> str:
        """A field's name for people: names can hold identifiers too. Nested ones look like hosts and are not."""
        return self.text(name)[0] if identifiers(name) - {Kind.HOST} else name

    def _clean_text(self, text: str) -> Cleaned:
        kinds: list[Kind] = []
        text = normalise(text)
        for _ in range(MAX_PASSES):  # what stood beside an identifier may be seen as one only once that is gone
            parts: list[str] = []
            end = 0
            for found in find(text):
                parts += (text[end : found.start], self._pseudonyms.of(found.kind, text[found.start : found.end]))
                end = found.end
                kinds.append(found.kind)
            if not parts:
                return text, tuple(kinds)
            text = normalise("".join((*parts, text[end:])))
        return "", tuple(kinds)

    def _whole(self, text: str, kind_of_text: Callable[[str], Kind]) -> Cleaned:
        text = normalise(text).strip()
        if text in _UNSET or TOKEN.fullmatch(text):
            return text, ()
        kind = kind_of_text(text)
        return self._pseudonyms.of(kind, text), (kind,)


class _Cleaning:
    """One record on its way through."""

    def __init__(self, sanitizer: Sanitizer, fields: Mapping[str, Treatment], report: Report) -> None:
        self._sanitizer = sanitizer
        self._fields = fields
        self._report = report

    def mapping(self, record: Mapping[str, Any], prefix: str, depth: int) -> dict[str, Any]:
        cleaned = {key: self._value(value, prefix + key, depth) for key, value in record.items()}
        return {key: value for key, value in cleaned.items() if value is not None}

    def _value(self, value: Any, name: str, depth: int) -> Any:
        """What may leave of `value`; None for nothing."""
        if isinstance(value, dict | list) and depth < MAX_DEPTH:
            if isinstance(value, dict):
                return self.mapping(value, f"{name}.", depth + 1) or None
            items = (self._value(item, name, depth + 1) for item in value)
            return [item for item in items if item is not None] or None
        self._report.seen += 1
        treatment = self._fields.get(name)
        if treatment is None or not isinstance(value, _SCALAR):
            self._report.count_dropped(name)
            return None
        return self._leaf(value, name, treatment)

    def _leaf(self, value: Any, name: str, treatment: Treatment) -> Any:
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        if treatment is Treatment.MEASURE and (not isinstance(value, str) or _MEASURE.fullmatch(text)):
            return value
        if treatment is Treatment.CATEGORY:
            return self._category(text, name)
        cleaned, kinds = self._sanitizer.clean(text, treatment)
        if not kinds:
            return cleaned if isinstance(value, str) else value
        self._report.replaced[name] += 1
        self._report.kinds.update(kinds)
        return cleaned

    def _category(self, text: str, name: str) -> str | None:
        try:
            return Catalogue.vendored().find(text).id
        except CategoryUnknown:
            self._report.count_dropped(name)
            return None


def _kind_of_host(text: str) -> Kind:
    try:
        return Kind.IPV4 if ip_address(text).version == 4 else Kind.IPV6
    except ValueError:
        return Kind.HOST
