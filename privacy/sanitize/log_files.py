"""Records of log files, plain, gzip-compressed or in a zip archive, one at a time in bounded memory."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from models_ml.adapters.delimited import CsvRows, TsvRows
from models_ml.adapters.json_lines import json_objects
from models_ml.adapters.lines import numbered_lines, open_binary
from models_ml.adapters.reading import format_of
from models_ml.adapters.records import BadRecord
from models_ml.adapters.report import ReadReport
from models_ml.errors import UnreadableFlows
from privacy.sanitize.fields import FLOW, NETFLOW, SURICATA, WINDOWS, RecordKind, kind_of

Lines = Iterable[tuple[int, str]]
Row = Mapping[str, Any]
_ZIP_MAGIC = b"PK\x03\x04"
_RESOURCE_FORKS = "__MACOSX/"


class _Named:
    """The cells of a line under the names of their columns."""

    def __init__(self, columns: Sequence[str], empty: frozenset[str]) -> None:
        self._columns = columns

    def pick(self, cells: list[str]) -> Row | BadRecord:
        if len(cells) != len(self._columns):
            return BadRecord(f"{len(cells)} fields instead of {len(self._columns)}")
        return dict(zip(self._columns, cells, strict=True))


@dataclass(frozen=True)
class LogFormat:
    """How lines become records, and the allow-list for them."""

    rows: Callable[[Lines], Iterator[tuple[int, Row | BadRecord]]]
    kind: RecordKind


LOG_FORMATS: Mapping[str, LogFormat] = {
    "zeek-csv": LogFormat(lambda lines: CsvRows(_Named).rows(lines), FLOW),
    "zeek-tsv": LogFormat(lambda lines: TsvRows(_Named).rows(lines), FLOW),
    "zeek-json": LogFormat(json_objects, FLOW),
    "netflow-csv": LogFormat(lambda lines: CsvRows(_Named).rows(lines), NETFLOW),
    "suricata-json": LogFormat(json_objects, SURICATA),
    "windows-json": LogFormat(json_objects, WINDOWS),
}
_JSON_FORMAT_OF_KIND = {FLOW.name: "zeek-json", SURICATA.name: "suricata-json", WINDOWS.name: "windows-json"}


def read_log(path: Path, report: ReadReport) -> Iterator[tuple[RecordKind, Row]]:
    """Stream the records of a file with the kind that they are of.

    Args:
        report: counts records and bad lines; an empty `format` is filled in. Lines of a zip archive are numbered in
            each of its files.

    Raises:
        UnreadableFlows: no such file, or no known format.
    """
    if report.format and report.format not in LOG_FORMATS:
        raise UnreadableFlows(f"there is no format {report.format!r}", expected=", ".join(LOG_FORMATS))
    try:
        for file in _opened(path):
            with closing(file):
                yield from _records(numbered_lines(file, report.add_malformed), path, report)
    except (OSError, zipfile.BadZipFile) as error:
        raise UnreadableFlows(f"{path} cannot be read: {error}") from error


def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        is_archive = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
    if not is_archive:
        yield open_binary(path)
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and not member.filename.startswith(_RESOURCE_FORKS):
                yield _opened_member(archive, member)


def _opened_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(member))
    except RuntimeError as error:  # encrypted, or compressed in an unknown way
        raise UnreadableFlows(
            f"{archive.filename}: {error}", expected="an archive that is not encrypted", action="Unpack it first."
        ) from error


def _records(lines: Iterator[tuple[int, str]], path: Path, report: ReadReport) -> Iterator[tuple[RecordKind, Row]]:
    if not report.format:
        report.format, lines = _recognised(lines, path, report)
    log_format = LOG_FORMATS[report.format]
    for number, row in log_format.rows(lines):
        if isinstance(row, BadRecord):
            report.add_malformed(number, str(row))
            continue
        report.records += 1
        yield log_format.kind, row


def _recognised(
    lines: Iterator[tuple[int, str]], path: Path, report: ReadReport
) -> tuple[str, Iterator[tuple[int, str]]]:
    for number, line in lines:
        if not line.strip():
            continue
        name = format_of(line)
        if name in _JSON_FORMAT_OF_KIND.values():
            kind = _kind_of_line(line)
            name = _JSON_FORMAT_OF_KIND[kind.name] if kind is not None else None
        if name is None:
            break
        return name, chain(((number, line),), lines)
    raise _unknown(path, report)


def _unknown(path: Path, report: ReadReport) -> UnreadableFlows:
    bad = f" (line {report.examples[0].number}: {report.examples[0].reason})" if report.examples else ""
    return UnreadableFlows(
        f"{path} does not begin with a record of a known kind{bad}",
        expected="events of Suricata (eve.json), Zeek (conn.log) or Windows, or NetFlow CSV",
        action=f"Name the format: {', '.join(LOG_FORMATS)}.",
    )


def _kind_of_line(line: str) -> RecordKind | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return kind_of(record) if isinstance(record, dict) else None
