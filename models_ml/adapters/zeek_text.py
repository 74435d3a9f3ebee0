"""Zeek connection records as delimited text: native `conn.log` (TSV with `#` header lines) and CSV with labels."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from models_ml.adapters.columns import FIELD_OF_NAME, FIELDS, HOSTS, REQUIRED
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport
from models_ml.errors import UnreadableFlows

Values = tuple[str | None, ...]
Parsed = tuple[int, Values | BadRecord]

_EMPTY = frozenset(("", "-", "(empty)"))


Row_co = TypeVar("Row_co", covariant=True)


class Picker(Protocol[Row_co]):
    """Makes what its user wants of the cells of a line."""

    def pick(self, cells: Sequence[str]) -> Row_co | BadRecord: ...


MakePicker = Callable[[Sequence[str], frozenset[str]], Picker[Row_co]]
"""From a header's column names, and the texts that stand for no value."""


class Layout:
    """Where each of `FIELDS` stands in a line.

    Raises:
        UnreadableFlows: a column that a flow record cannot do without is not there.
    """

    def __init__(self, report: ReadReport, columns: Sequence[str], empty: frozenset[str]) -> None:
        places = {FIELD_OF_NAME[name]: place for place, name in enumerate(columns) if name in FIELD_OF_NAME}
        missing = [name for name in REQUIRED if name not in places]
        if missing:
            raise UnreadableFlows(
                f"the header names no {', '.join(missing)}",
                expected="the columns of a Zeek conn.log: ts, id.orig_h, id.resp_h, id.resp_p, proto, conn_state",
            )
        self._report = report
        self._width = len(columns)
        self._removed = len(columns) - len(places) + len(HOSTS)
        self._places = tuple(places.get(name) for name in FIELDS)
        self._empty = empty

    def pick(self, cells: Sequence[str]) -> Values | BadRecord:
        if len(cells) != self._width:
            return BadRecord(f"{len(cells)} fields instead of {self._width}")
        self._report.count_values(self._width, self._removed)
        empty = self._empty
        return tuple(None if place is None or cells[place] in empty else cells[place] for place in self._places)


def parse_csv(lines: Iterable[tuple[int, str]], report: ReadReport) -> Iterator[Parsed]:
    """Records of a CSV whose first line names the columns (one record a line)."""
    return csv_rows(lines, partial(Layout, report))


def parse_tsv(lines: Iterable[tuple[int, str]], report: ReadReport) -> Iterator[Parsed]:
    """Records of a native Zeek log."""
    return tsv_rows(lines, partial(Layout, report))


def csv_rows(
    lines: Iterable[tuple[int, str]], make_picker: MakePicker[Row_co]
) -> Iterator[tuple[int, Row_co | BadRecord]]:
    """Lines of a CSV whose first line names the columns, as a picker makes rows of them."""
    layout: Picker[Row_co] | None = None
    for number, line in lines:
        if not line:
            continue
        try:
            cells = next(csv.reader((line,), strict=True), [])
        except csv.Error as error:
            yield number, BadRecord(f"no CSV: {error}")
            continue
        if layout is None:
            layout = make_picker(cells, _EMPTY)
        else:
            yield number, layout.pick(cells)


def tsv_rows(
    lines: Iterable[tuple[int, str]], make_picker: MakePicker[Row_co]
) -> Iterator[tuple[int, Row_co | BadRecord]]:
    """Lines of a native Zeek log; `#separator`, `#unset_field`, `#empty_field` and `#fields` are obeyed.

    Public labelled logs append `label` and `detailed-label` to the last column with runs of spaces; those are split.
    """
    header = {"separator": "\t", "unset_field": "-", "empty_field": "(empty)"}
    layout: Picker[Row_co] | None = None
    split: Callable[[str], list[str]] = _splitter("\t", spaced=False)
    for number, line in lines:
        if line.startswith("#"):
            name, _, value = line[1:].partition(" " if line.startswith("#separator") else header["separator"])
            if name == "separator":
                header[name] = _unescape(value)
            elif name == "fields":
                spaced = re.search(r"\S {2,}\S", value) is not None
                split = _splitter(header["separator"], spaced=spaced)
                layout = make_picker(split(value), frozenset(("", header["unset_field"], header["empty_field"])))
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
