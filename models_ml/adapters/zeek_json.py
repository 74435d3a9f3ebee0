"""Zeek connection records as JSON, one object a line (Zeek's `LogAscii::use_json`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from models_ml.adapters.columns import FIELD_OF_NAME, HOST_NAMES, NAMES_OF_FIELD
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport
from models_ml.adapters.zeek_text import Parsed, Values


def parse_json(lines: Iterable[tuple[int, str]], report: ReadReport) -> Iterator[Parsed]:
    """Records of a JSON-lines log; `ts` may be epoch seconds or ISO 8601."""
    for number, record in json_objects(lines):
        if isinstance(record, BadRecord):
            yield number, record
            continue
        read = record.keys() & FIELD_OF_NAME.keys()
        report.count_values(len(record), len(record) - len(read - HOST_NAMES))
        yield number, _pick(record)


def json_objects(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, dict[str, Any] | BadRecord]]:
    """The objects of a JSON-lines file."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield number, BadRecord(f"no JSON: {error}")
            continue
        yield number, record if isinstance(record, dict) else BadRecord("no JSON object")


def _pick(record: dict[str, Any]) -> Values | BadRecord:
    values: list[str | None] = []
    for keys in NAMES_OF_FIELD:
        value = next((record[key] for key in keys if record.get(key) is not None), None)
        if value is None or isinstance(value, str):
            values.append(value or None)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            values.append(str(value))
        else:
            return BadRecord(f"{keys[0]} is neither text nor a number")
    values[0] = _epoch(values[0])
    return tuple(values)


def _epoch(text: str | None) -> str | None:
    if text is None or "T" not in text:
        return text
    try:
        moment = datetime.fromisoformat(text)
        return str((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return text  # the record builder names it as no number
