"""From the text of one Zeek connection record to one entry in every column."""

from __future__ import annotations

import hashlib
import math
from typing import Any

from models_ml.adapters.columns import FIELDS, REQUIRED
from models_ml.edge_stream import COLUMNS, PROTOCOLS, STATES, EdgeStream
from models_ml.families import from_labels

_PROTOCOL_INDEX = {name: index for index, name in enumerate(PROTOCOLS)} | {"icmp6": PROTOCOLS.index("icmp")}
_OTHER_PROTOCOL = PROTOCOLS.index("other")
_STATE_INDEX = {name: index for index, name in enumerate(STATES)}
_MAX_COUNT = 2**53
_MAX_SECONDS = 2.0**40
_MAX_CAPTURES = 2**15 - 1


class BadRecord(Exception):
    """A record that cannot be read; the text says why."""


class Pseudonyms:
    """Hosts as keyed 64-bit BLAKE2b digests.

    The mapping is one-way for whoever lacks the key (32 bytes, kept by the organisation) and remembers nothing.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, host: str) -> int:
        return int.from_bytes(hashlib.blake2b(host.encode(), digest_size=8, key=self._key).digest(), "little")


class StreamBuilder:
    """Collects records and gives them out as streams."""

    def __init__(self, pseudonyms: Pseudonyms, default_capture: str) -> None:
        self._pseudonyms = pseudonyms
        self._default_capture = default_capture
        self._captures: dict[str, int] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}

    def __len__(self) -> int:
        return len(self._columns["t"])

    def add(self, values: tuple[str | None, ...]) -> None:
        """Append one record given as the texts of `FIELDS`.

        Raises:
            BadRecord: a missing or unreadable value; nothing is appended then.
        """
        ts, src, dst, port, proto, duration, out, back, state, sent, received, family, label, detail, capture = values
        if not (ts and src and dst and port and proto and state):
            missing = [name for name, value in zip(FIELDS, values, strict=True) if name in REQUIRED and not value]
            raise BadRecord(f"no value for {', '.join(missing)}")
        entry = (
            _seconds("ts", ts),
            self._pseudonyms.of(src),
            self._pseudonyms.of(dst),
            _port(port),
            _PROTOCOL_INDEX.get(proto.lower(), _OTHER_PROTOCOL),
            _seconds("duration", duration) if duration else math.nan,
            _count("orig_bytes", out),
            _count("resp_bytes", back),
            _count("orig_pkts", sent) + _count("resp_pkts", received),
            _state(state),
            from_labels(family, label, detail),
            self._capture(capture or self._default_capture),
        )
        for column, value in zip(self._columns.values(), entry, strict=True):
            column.append(value)

    def take(self) -> EdgeStream:
        """The records collected since the last call."""
        stream = EdgeStream.from_columns(self._columns, tuple(self._captures) or (self._default_capture,))
        for column in self._columns.values():
            column.clear()
        return stream

    def _capture(self, name: str) -> int:
        index = self._captures.setdefault(name, len(self._captures))
        if index > _MAX_CAPTURES:
            del self._captures[name]
            raise BadRecord(f"more than {_MAX_CAPTURES} different captures")
        return index


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise BadRecord(f"{name} {text[:40]!r} is no number") from None
    if not 0 <= value <= _MAX_SECONDS:
        raise BadRecord(f"{name} {text[:40]!r} is out of range")
    return value


def _count(name: str, text: str | None) -> int:
    if not text:
        return 0
    # isdecimal keeps out signs, underscores and exponents, which int() or float() would let through
    if not (text.isdecimal() and text.isascii()) or len(text) > 16 or int(text) > _MAX_COUNT:
        raise BadRecord(f"{name} {text[:40]!r} is no count")
    return int(text)


def _port(text: str) -> int:
    value = _count("port", text)
    if value > 65535:
        raise BadRecord(f"port {text} is beyond 65535")
    return value


def _state(text: str) -> int:
    try:
        return _STATE_INDEX[text]
    except KeyError:
        raise BadRecord(f"conn_state {text[:40]!r} is unknown") from None
