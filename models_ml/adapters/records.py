"""From the values of many records, as logs write them, to the columns of an edge stream.

Whole columns are converted at once, which is several times as fast as record by record; only a column that does not
convert is looked at value by value, to name the lines that are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.adapters.columns import EMPTY, FIELDS, REQUIRED, Value, Values
from models_ml.adapters.hosts import HostTable
from models_ml.adapters.report import BadLine
from models_ml.edge_stream import PROTOCOLS, STATES, EdgeStream
from models_ml.families import from_labels

_PROTOCOL_INDEX = {name: index for index, name in enumerate(PROTOCOLS)} | dict.fromkeys(
    ("icmp6", "ipv6-icmp"), PROTOCOLS.index("icmp")
)
_OTHER_PROTOCOL = PROTOCOLS.index("other")
_STATE_INDEX = {name: index for index, name in enumerate(STATES)}
_MAX_COUNT = 2**53
_MAX_DIGITS = 16
_MAX_PORT = 65535
_MAX_SECONDS = 2.0**40
_MAX_CAPTURES = 2**15 - 1

Column = Sequence[Value]


class BadRecord(Exception):
    """A record that cannot be read; the text says why."""


class StreamBuilder:
    """Makes streams of records, one batch after the other; captures keep their index from batch to batch."""

    def __init__(self, hosts: HostTable, default_capture: str) -> None:
        self._hosts = hosts
        self._default_capture = default_capture
        self._captures: dict[str, int] = {}

    def build(self, numbers: Sequence[int], records: Sequence[Values]) -> tuple[EdgeStream, list[BadLine]]:
        """The records of a batch that are sound, and the others.

        Args:
            numbers: the line number of each record.
            records: the values of `FIELDS` of each.
        """
        if not records:
            return EdgeStream.empty(), []
        columns = dict(zip(FIELDS, zip(*records, strict=True), strict=True))
        bad: dict[int, str] = {}
        _find_missing(columns, bad)
        t = _seconds("ts", columns["ts"], bad)
        port = _counts("port", columns["port"], bad)
        for row in np.flatnonzero(port > _MAX_PORT):
            bad.setdefault(int(row), f"port {port[row]} is beyond {_MAX_PORT}")
        duration = _seconds("duration", columns["duration"], bad)
        counts = {
            name: _counts(name, columns[name], bad) for name in ("orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts")
        }
        state = _each(columns["conn_state"], _state, np.int8)
        for row in np.flatnonzero(state < 0):
            bad.setdefault(int(row), f"conn_state {_shown(columns['conn_state'][row])} is unknown")
        capture = self._capture_indices(columns["capture"], bad)
        src, dst = self._hosts.numbers(columns["src"]), self._hosts.numbers(columns["dst"])
        made: dict[str, Any] = {
            "t": t,
            "src": src,
            "dst": dst,
            "port": port,
            "proto": _each(columns["proto"], _protocol, np.int8),
            "duration": duration,
            "bytes_out": counts["orig_bytes"],
            "bytes_in": counts["resp_bytes"],
            "packets": counts["orig_pkts"] + counts["resp_pkts"],
            "state": state,
            "family": _families(columns),
            "capture": capture,
            "indicator": self._hosts.listed(src) | self._hosts.listed(dst),
        }
        stream = EdgeStream.from_columns(made, tuple(self._captures) or (self._default_capture,))
        if not bad:
            return stream, []
        sound = np.ones(len(records), dtype=np.bool_)
        sound[list(bad)] = False
        return stream.select(sound), [BadLine(numbers[row], reason) for row, reason in sorted(bad.items())]

    def _capture_indices(self, column: Column, bad: dict[int, str]) -> npt.NDArray[np.int16]:
        """Indices into the captures that are known so far; records that are bad for other reasons name no new one."""
        names = [self._default_capture if value in EMPTY else str(value) for value in column]
        known = self._captures
        if bad or not known.keys() >= set(names):
            for row, name in enumerate(names):
                if row not in bad and name not in known:
                    if len(known) > _MAX_CAPTURES:
                        bad[row] = f"more than {_MAX_CAPTURES + 1} different captures"
                    else:
                        known[name] = len(known)
        return np.fromiter((known.get(name, 0) for name in names), np.int16, len(names))


def _find_missing(columns: Mapping[str, Column], bad: dict[int, str]) -> None:
    lacking = [name for name in REQUIRED if not EMPTY.isdisjoint(columns[name])]
    if not lacking:
        return
    for row, values in enumerate(zip(*(columns[name] for name in lacking), strict=True)):
        missing = [name for name, value in zip(lacking, values, strict=True) if value in EMPTY]
        if missing:
            bad[row] = f"no value for {', '.join(missing)}"


def _seconds(name: str, column: Column, bad: dict[int, str]) -> npt.NDArray[np.float64]:
    """Numbers from 0 to `_MAX_SECONDS`; NaN where there is no value, and where it is wrong."""
    blanks = sum(map(column.count, EMPTY))
    try:
        given = [math.nan if value in EMPTY else value for value in column] if blanks else column
        seconds = np.fromiter(map(float, given), np.float64, len(column))  # type: ignore[arg-type]  # None is blank
    except (ValueError, OverflowError):
        pass
    else:
        if np.count_nonzero((seconds >= 0) & (seconds <= _MAX_SECONDS)) + blanks == len(column):
            return seconds
    seconds = np.full(len(column), np.nan)
    for row, value in enumerate(column):
        if value in EMPTY or value is None:
            continue
        try:
            number = float(value)
        except (ValueError, OverflowError):
            bad.setdefault(row, f"{name} {_shown(value)} is no number")
            continue
        if 0 <= number <= _MAX_SECONDS:
            seconds[row] = number
        else:
            bad.setdefault(row, f"{name} {_shown(value)} is out of range")
    return seconds


def _counts(name: str, column: Column, bad: dict[int, str]) -> npt.NDArray[np.int64]:
    """Whole numbers from 0 to `_MAX_COUNT`; 0 where there is no value, and where it is wrong."""
    given = [0 if value in EMPTY else value for value in column]
    kinds = set(map(type, given))
    try:
        if kinds <= {int} or (kinds <= {int, str} and _all_digits(given)):
            counts = np.fromiter(map(int, given), np.int64, len(given))  # type: ignore[arg-type]  # None became 0
            if counts.min() >= 0 and counts.max() <= _MAX_COUNT:
                return counts
    except OverflowError:
        pass
    counts = np.zeros(len(column), dtype=np.int64)
    for row, value in enumerate(given):
        number = _count(value)
        if number is None:
            bad.setdefault(row, f"{name} {_shown(value)} is no count")
        else:
            counts[row] = number
    return counts


def _all_digits(column: Column) -> bool:
    texts = [value for value in column if isinstance(value, str)]
    together = "".join(texts)
    # isdecimal keeps out signs, underscores and exponents, which int() would let through
    return together.isdecimal() and together.isascii() and max(map(len, texts)) <= _MAX_DIGITS


def _count(value: Value) -> int | None:
    if isinstance(value, str):
        if not (value.isdecimal() and value.isascii()) or len(value) > _MAX_DIGITS:
            return None
        value = int(value)
    return value if isinstance(value, int) and 0 <= value <= _MAX_COUNT else None


def _each(column: Column, convert: Callable[[Value], int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`convert` of every value, called once for each different one."""
    known = {value: convert(value) for value in set(column)}
    return np.fromiter(map(known.__getitem__, column), dtype, len(column))


def _protocol(value: Value) -> int:
    return _PROTOCOL_INDEX.get(str(value).lower(), _OTHER_PROTOCOL)


def _state(value: Value) -> int:
    return _STATE_INDEX.get(str(value), -1)


def _families(columns: Mapping[str, Column]) -> npt.NDArray[np.int8]:
    labels = list(zip(columns["family"], columns["label"], columns["detail"], strict=True))
    known = {given: from_labels(*(None if value in EMPTY else str(value) for value in given)) for given in set(labels)}
    return np.fromiter(map(known.__getitem__, labels), np.int8, len(labels))


def _shown(value: Value) -> str:
    return repr(str(value)[:40])
