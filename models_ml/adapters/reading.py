"""Read flow records of any supported format."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from models_ml.adapters.columns import Values
from models_ml.adapters.delimited import CsvRows, TsvRows
from models_ml.adapters.hosts import HostTable, Pseudonyms
from models_ml.adapters.lines import Line, line_batches, open_binary
from models_ml.adapters.netflow import NetflowColumns
from models_ml.adapters.records import BadRecord, StreamBuilder
from models_ml.adapters.report import BadLine, ReadReport
from models_ml.adapters.suricata import SuricataRows
from models_ml.adapters.zeek_json import ZeekJsonRows
from models_ml.adapters.zeek_text import ZeekColumns
from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import UnreadableFlows

CHUNK = 65_536
"""Records held at a time while streaming."""
_BATCH_LINES, _BATCH_BLOCKS = 1000, 6


@dataclass(frozen=True)
class Reading:
    """How an organisation reads its files.

    Attributes:
        pseudonym_key: 16 to 64 bytes under which hosts are pseudonymised. Without it a random key is drawn: hosts are
            then comparable within one file only.
        is_listed: tells whether an address is one of the organisation's indicators (`sources.threat_intel`).
        assumed_rate: records a second, for NetFlow files that carry no times; without it those are refused.
    """

    pseudonym_key: bytes | None = None
    is_listed: Callable[[str], bool] | None = None
    assumed_rate: float | None = None


PLAIN = Reading()


class Rows(Protocol):
    """Makes records of lines, batch after batch; what a header said holds for all that follow."""

    def rows(self, lines: Iterable[Line]) -> Iterator[tuple[int, Values | BadRecord]]: ...


_ROWS: Mapping[str, Callable[[ReadReport, Reading], Rows]] = MappingProxyType(
    {
        "zeek-csv": lambda report, how: CsvRows(partial(ZeekColumns, report)),
        "zeek-tsv": lambda report, how: TsvRows(partial(ZeekColumns, report)),
        "zeek-json": lambda report, how: ZeekJsonRows(report),
        "suricata-json": lambda report, how: SuricataRows(report),
        "netflow-csv": lambda report, how: CsvRows(partial(NetflowColumns, report, how.assumed_rate)),
    }
)
FORMATS = tuple(_ROWS)


class FlowReader:
    """Turns lines into streams, a batch at a time: for files, pipes and logs that still grow.

    Args:
        report: counts records and bad lines; an empty `format` is filled in from the first line.
        capture: the name of what is read, for records that name no capture themselves.
    """

    def __init__(self, report: ReadReport, how: Reading = PLAIN, *, capture: str) -> None:
        self.report = report
        self._how = how
        hosts = HostTable(Pseudonyms(how.pseudonym_key or secrets.token_bytes(32)), how.is_listed)
        self._builder = StreamBuilder(hosts, capture)
        self._rows = self._rows_of(report.format) if report.format else None
        self._bad: list[BadLine] = []

    def note(self, number: int, reason: str) -> None:
        """Count a line that is no text; it takes its place among the bad lines of the next batch."""
        self._bad.append(BadLine(number, reason))

    def feed(self, lines: Sequence[Line]) -> EdgeStream:
        """The records of the next lines, in their order (none, if there is no sound record in them).

        Raises:
            UnreadableFlows: the first line shows no known format, or a header lacks what a flow record needs.
        """
        numbers: list[int] = []
        records: list[Values] = []
        for number, values in self._rows_for(lines).rows(lines):
            if isinstance(values, BadRecord):
                self._bad.append(BadLine(number, str(values)))
            else:
                numbers.append(number)
                records.append(values)
        stream, bad = self._builder.build(numbers, records)
        self._bad += bad
        self.flush()
        self.report.records += len(stream)
        return stream

    def flush(self) -> None:
        """Hand the bad lines noted so far to the report."""
        for line in sorted(self._bad, key=lambda each: each.number):
            self.report.add_malformed(line.number, line.reason)
        self._bad.clear()

    def _rows_for(self, lines: Sequence[Line]) -> Rows:
        if self._rows is None:
            first = next((line for _, line in lines if line.strip()), None)
            if first is None:
                return _NothingYet()
            self.report.format = format_of(first) or ""
            if not self.report.format:
                raise unknown_format(self.report.source)
            self._rows = self._rows_of(self.report.format)
        return self._rows

    def _rows_of(self, name: str) -> Rows:
        try:
            return _ROWS[name](self.report, self._how)
        except KeyError:
            raise UnreadableFlows(f"there is no format {name!r}", expected=", ".join(FORMATS)) from None


class _NothingYet:
    """Blank lines before the first record."""

    def rows(self, lines: Iterable[Line]) -> Iterator[tuple[int, Values | BadRecord]]:
        return iter(())


def iterate(
    path: str | Path,
    report: ReadReport,
    *,
    pseudonym_key: bytes | None = None,
    how: Reading | None = None,
    chunk: int = CHUNK,
) -> Iterator[EdgeStream]:
    """Stream a file as pieces of at most `chunk` records; memory does not grow with the file.

    Args:
        path: a plain or gzip-compressed file.
        report: counts records and bad lines while the iteration goes on; an empty `format` is filled in.
        pseudonym_key: short for `how=Reading(pseudonym_key=...)`.

    Raises:
        UnreadableFlows: no such file, or no known format. A bad line is counted and never raises.
    """
    location = Path(path)
    reader = FlowReader(report, how or Reading(pseudonym_key), capture=_capture_name(location))
    try:
        file = open_binary(location)
    except OSError as error:
        raise UnreadableFlows(f"{location} cannot be opened: {error.strerror or error}") from error
    with closing(file):
        batches = _gathered(line_batches(file, reader.note))
        yield from _pieces((reader.feed(lines) for lines in batches), chunk)
    reader.flush()
    if not report.format:
        raise unknown_format(report.source)


def _gathered(batches: Iterable[list[Line]]) -> Iterator[list[Line]]:
    """Batches put together until converting their columns is worth its fixed cost."""
    lines: list[Line] = []
    blocks = 0
    for batch in batches:
        lines += batch
        blocks += 1
        if len(lines) >= _BATCH_LINES or blocks >= _BATCH_BLOCKS:
            yield lines
            lines, blocks = [], 0
    if lines:
        yield lines


def _pieces(streams: Iterable[EdgeStream], chunk: int) -> Iterator[EdgeStream]:
    """The records of `streams` in pieces of `chunk`, the last one smaller."""
    waiting: list[EdgeStream] = []
    for stream in streams:
        if not len(stream):
            continue
        waiting.append(stream)
        if sum(map(len, waiting)) >= chunk:
            whole = concat(waiting)
            cut = len(whole) - len(whole) % chunk
            for start in range(0, cut, chunk):
                yield whole.select(slice(start, start + chunk))
            waiting = [whole.select(slice(cut, None))] if cut < len(whole) else []
    if waiting:
        yield concat(waiting)


def read(
    path: str | Path,
    format: str | None = None,  # noqa: A002  (the name that users type)
    *,
    pseudonym_key: bytes | None = None,
    how: Reading | None = None,
) -> tuple[EdgeStream, ReadReport]:
    """Read a whole file of flow records.

    Args:
        format: one of `FORMATS`; recognised from the first line where it is not given.

    Raises:
        UnreadableFlows: as `iterate`.
    """
    report = ReadReport(source=str(path), format=format or "")
    return concat(list(iterate(path, report, pseudonym_key=pseudonym_key, how=how))), report


def format_of(line: str) -> str | None:
    """The format that a file's first line shows, None for a stranger."""
    if line.startswith("#"):
        return "zeek-tsv"
    if line.lstrip().startswith("{"):
        return "suricata-json" if '"event_type"' in line else "zeek-json"
    names = set(line.split(","))
    if {"ts", "proto", "conn_state"} <= names:
        return "zeek-csv"
    return "netflow-csv" if {"PROTOCOL", "IN_BYTES", "IN_PKTS"} <= names else None


def unknown_format(source: str) -> UnreadableFlows:
    """A file in no format that an adapter reads."""
    return UnreadableFlows(
        f"{source} holds no flow records in a known format",
        expected="Zeek's conn.log (TSV, JSON lines, or CSV with its column names), Suricata's eve.json, NetFlow CSV",
        action=f"Name the format: {', '.join(FORMATS)}.",
    )


def _capture_name(path: Path) -> str:
    return path.name.split(".", 1)[0] or path.name
