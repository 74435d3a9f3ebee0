"""Lines of delimited text as cells: CSV whose first line names the columns, and Zeek's TSV with its `#` header."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from models_ml.adapters.lines import Line
from models_ml.adapters.records import BadRecord

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)

EMPTY_TEXTS = frozenset(("", "-", "(empty)"))


class Picker(Protocol[Row_co]):
    """Makes what its user wants of the cells of a line; the list of cells is the picker's to change."""

    def pick(self, cells: list[str]) -> Row_co | BadRecord: ...


MakePicker = Callable[[Sequence[str], frozenset[str]], Picker[Row_co]]
"""From a header's column names, and the texts that stand for no value."""


class CsvRows(Generic[Row]):
    """Lines of a CSV (one record a line), as a picker makes rows of them; batch after batch."""

    def __init__(self, make_picker: MakePicker[Row]) -> None:
        self._make_picker = make_picker
        self._picker: Picker[Row] | None = None

    def rows(self, lines: Iterable[Line]) -> Iterator[tuple[int, Row | BadRecord]]:
        for number, line in lines:
            if not line:
                continue
            if '"' in line or "\r" in line:
                try:
                    cells = next(csv.reader((line,), strict=True), [])
                except csv.Error as error:
                    yield number, BadRecord(f"no CSV: {error}")
                    continue
            else:
                cells = line.split(",")
            if self._picker is None:
                self._picker = self._make_picker(cells, EMPTY_TEXTS)
            else:
                yield number, self._picker.pick(cells)


class TsvRows(Generic[Row]):
    """Lines of a native Zeek log; `#separator`, `#unset_field`, `#empty_field` and `#fields` are obeyed.

    Public labelled logs append `label` and `detailed-label` to the last column with runs of spaces; those are split.
    """

    def __init__(self, make_picker: MakePicker[Row]) -> None:
        self._make_picker = make_picker
        self._header = {"separator": "\t", "unset_field": "-", "empty_field": "(empty)"}
        self._picker: Picker[Row] | None = None
        self._split = _splitter("\t", spaced=False)

    def rows(self, lines: Iterable[Line]) -> Iterator[tuple[int, Row | BadRecord]]:
        for number, line in lines:
            if line.startswith("#"):
                self._read_header(line)
            elif not line:
                continue
            elif self._picker is None:
                yield number, BadRecord("a record before the #fields line")
            else:
                yield number, self._picker.pick(self._split(line))

    def _read_header(self, line: str) -> None:
        header = self._header
        name, _, value = line[1:].partition(" " if line.startswith("#separator") else header["separator"])
        if name == "separator":
            header[name] = _unescape(value)
        elif name == "fields":
            spaced = re.search(r"\S {2,}\S", value) is not None
            self._split = _splitter(header["separator"], spaced=spaced)
            empty = frozenset(("", header["unset_field"], header["empty_field"]))
            self._picker = self._make_picker(self._split(value), empty)
        elif name in header:
            header[name] = value


def _splitter(separator: str, *, spaced: bool) -> Callable[[str], list[str]]:
    if spaced:
        return re.compile(f"{re.escape(separator)}| {{2,}}").split
    return lambda line: line.split(separator)


def _unescape(text: str) -> str:
    """`\\x09` -> a tab; Zeek writes its separator that way."""
    value = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text)
    return value or "\t"
