"""Zeek connection records as delimited text: native `conn.log` (TSV with `#` header lines) and CSV with labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from models_ml.adapters.columns import FIELD_OF_NAME, FIELDS, REQUIRED
from models_ml.adapters.records import BadRecord
from models_ml.errors import UnreadableFlows

Values = tuple[str | None, ...]
Parsed = tuple[int, Values | BadRecord]

_EMPTY = frozenset(("", "-", "(empty)"))


class Layout:
    """Where each of `FIELDS` stands in a line.

    Raises:
        UnreadableFlows: a column that a flow record cannot do without is not there.
    """

    def __init__(self, columns: Sequence[str], empty: frozenset[str] = _EMPTY) -> None:
        places = {FIELD_OF_NAME[name]: place for place, name in enumerate(columns) if name in FIELD_OF_NAME}
        missing = [name for name in REQUIRED if name not in places]
        if missing:
            raise UnreadableFlows(
                f"the header names no {', '.join(missing)}",
                expected="the columns of a Zeek conn.log: ts, id.orig_h, id.resp_h, id.resp_p, proto, conn_state",
            )
        self._width = len(columns)
        self._places = tuple(places.get(name) for name in FIELDS)
        self._empty = empty

    def pick(self, cells: Sequence[str]) -> Values | BadRecord:
        if len(cells) != self._width:
            return BadRecord(f"{len(cells)} fields instead of {self._width}")
        empty = self._empty
        return tuple(None if place is None or cells[place] in empty else cells[place] for place in self._places)


def parse_csv(lines: Iterable[tuple[int, str]]) -> Iterator[Parsed]:
    """Records of a CSV whose first line names the columns (one record a line)."""
    layout: Layout | None = None
    for number, line in lines:
        if not line:
            continue
        try:
            cells = next(csv.reader((line,), strict=True), [])
        except csv.Error as error:
            yield number, BadRecord(f"no CSV: {error}")
            continue
        if layout is None:
            layout = Layout(cells)
        else:
            yield number, layout.pick(cells)


def parse_tsv(lines: Iterable[tuple[int, str]]) -> Iterator[Parsed]:
    """Records of a native Zeek log; `#separator`, `#unset_field`, `#empty_field` and `#fields` are obeyed.

    Public labelled logs append `label` and `detailed-label` to the last column with runs of spaces; those are split.
    """
    header = {"separator": "\t", "unset_field": "-", "empty_field": "(empty)"}
    layout: Layout | None = None
    split: Callable[[str], list[str]] = _splitter("\t", spaced=False)
    for number, line in lines:
        if line.startswith("#"):
            name, _, value = line[1:].partition(" " if line.startswith("#separator") else header["separator"])
            if name == "separator":
                header[name] = _unescape(value)
            elif name == "fields":
                spaced = re.search(r"\S {2,}\S", value) is not None
                split = _splitter(header["separator"], spaced=spaced)
                layout = Layout(split(value), frozenset(("", header["unset_field"], header["empty_field"])))
            elif name in header:
                header[name] = value
        elif not line:
            continue
        elif layout is None:
            yield number, BadRecord("a record before the #fields line")
        else:
            yield number, layout.pick(split(line))


def _splitter(separator: str, *, spaced: bool) -> Callable[[str], list[str]]:
    if spaced:
        return re.compile(f"{re.escape(separator)}| {{2,}}").split
    return lambda line: line.split(separator)


def _unescape(text: str) -> str:
    """`\\x09` -> a tab; Zeek writes its separator that way."""
    value = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text)
    return value or "\t"
