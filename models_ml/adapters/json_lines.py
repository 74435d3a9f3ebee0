"""JSON objects, one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from models_ml.adapters.columns import Value
from models_ml.adapters.lines import Line
from models_ml.adapters.records import BadRecord

SCALARS = frozenset((str, int, float, type(None)))


def json_objects(lines: Iterable[Line]) -> Iterator[tuple[int, dict[str, Any] | BadRecord]]:
    """The objects of a JSON-lines file."""
    loads = orjson.loads
    for number, line in lines:
        try:
            record = loads(line)
        except orjson.JSONDecodeError as error:
            if line.strip():
                yield number, BadRecord(f"no JSON: {error}")
            continue
        yield number, record if record.__class__ is dict else BadRecord("no JSON object")


def scalar(record: Mapping[str, Any], key: str) -> Value:
    """The text or number at `key`, None where there is none.

    Raises:
        BadRecord: something else stands there.
    """
    value = record.get(key)
    if value.__class__ not in SCALARS:
        raise BadRecord(f"{key} is neither text nor a number")
    return value


def epoch(value: Value) -> Value:
    """Seconds since 1970 of an ISO 8601 time (UTC where it names no offset); other values as they are."""
    if value.__class__ is not str or "T" not in value:
        return value
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return value  # the record builder names it as no number
