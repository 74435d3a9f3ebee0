"""Zeek connection records as JSON, one object a line (Zeek's `LogAscii::use_json`).

Shippers put several of Zeek's logs in one file and name the log in `@stream` or `_path`; only `conn` is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from models_ml.adapters.columns import FIELD_OF_NAME, HOST_NAMES, NAMES_OF_FIELD, Values
from models_ml.adapters.json_lines import SCALARS, epoch, json_objects, scalar
from models_ml.adapters.lines import Line
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport

_LOG_KEYS = ("@stream", "_path")
_TS = 0
_MAX_SHAPES = 256


class ZeekJsonRows:
    """Records of a JSON-lines log; `ts` may be epoch seconds or ISO 8601."""

    def __init__(self, report: ReadReport) -> None:
        self._report = report
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def rows(self, lines: Iterable[Line]) -> Iterator[tuple[int, Values | BadRecord]]:
        report = self._report
        for number, record in json_objects(lines):
            if isinstance(record, BadRecord):
                yield number, record
                continue
            shape = self._shape_of(record)
            if shape.log_key and record[shape.log_key] != "conn":
                report.add_skipped(str(record[shape.log_key]))
                continue
            report.values_seen += len(record)
            report.values_removed += shape.removed
            values = [record.get(key) for key in shape.keys]
            if set(map(type, values)) <= SCALARS and not shape.ambiguous:
                values[_TS] = epoch(values[_TS])
                yield number, tuple(values)
                continue
            try:
                yield number, _pick(record)
            except BadRecord as error:
                yield number, error

    def _shape_of(self, record: dict[str, Any]) -> _Shape:
        names = tuple(record)
        shape = self._shapes.get(names)
        if shape is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            shape = self._shapes[names] = _Shape(record)
        return shape


class _Shape:
    """Where records with the same keys have what is read: looked up once for each such set of keys."""

    def __init__(self, record: dict[str, Any]) -> None:
        present = [[key for key in keys if key in record] for keys in NAMES_OF_FIELD]
        self.keys = tuple(found[0] if found else "" for found in present)
        self.ambiguous = any(len(found) > 1 for found in present)
        self.removed = len(record) - len((record.keys() & FIELD_OF_NAME.keys()) - HOST_NAMES)
        self.log_key = next((key for key in _LOG_KEYS if key in record), "")


def _pick(record: dict[str, Any]) -> Values:
    values = [
        next((value for key in keys if (value := scalar(record, key)) is not None), None) for keys in NAMES_OF_FIELD
    ]
    values[_TS] = epoch(values[_TS])
    return tuple(values)
