"""Read flow records of any supported format."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path

from models_ml.adapters.lines import numbered_lines, open_binary
from models_ml.adapters.records import BadRecord, Pseudonyms, StreamBuilder
from models_ml.adapters.report import ReadReport
from models_ml.adapters.zeek_json import parse_json
from models_ml.adapters.zeek_text import Parsed, parse_csv, parse_tsv
from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import UnreadableFlows

CHUNK = 65_536
"""Records held at a time while streaming."""

_PARSERS: dict[str, Callable[[Iterable[tuple[int, str]], ReadReport], Iterator[Parsed]]] = {
    "zeek-csv": parse_csv,
    "zeek-tsv": parse_tsv,
    "zeek-json": parse_json,
}
FORMATS = tuple(_PARSERS)


def iterate(
    path: str | Path,
    report: ReadReport,
    *,
    pseudonym_key: bytes | None = None,
    chunk: int = CHUNK,
) -> Iterator[EdgeStream]:
    """Stream a file as pieces of at most `chunk` records; memory does not grow with the file.

    Args:
        path: a plain or gzip-compressed file.
        report: counts records and bad lines while the iteration goes on; an empty `format` is filled in.
        pseudonym_key: 16 to 64 bytes under which hosts are pseudonymised. Without it a random key is drawn: hosts are
            then comparable within this file only.

    Raises:
        UnreadableFlows: no such file, or no known format. A bad line is counted and never raises.
    """
    location = Path(path)
    try:
        file = open_binary(location)
    except OSError as error:
        raise UnreadableFlows(f"{location} cannot be opened: {error.strerror or error}") from error
    builder = StreamBuilder(Pseudonyms(pseudonym_key or secrets.token_bytes(32)), _capture_name(location))
    with closing(file):
        lines = numbered_lines(file, report)
        if not report.format:
            report.format, lines = detect(lines, location)
        for number, values in _parser(report.format)(lines, report):
            try:
                if isinstance(values, BadRecord):
                    raise values
                builder.add(values)
            except BadRecord as error:
                report.add_malformed(number, str(error))
                continue
            report.records += 1
            if len(builder) >= chunk:
                yield builder.take()
    if len(builder):
        yield builder.take()


def read(
    path: str | Path,
    format: str | None = None,  # noqa: A002  (the name that users type)
    *,
    pseudonym_key: bytes | None = None,
) -> tuple[EdgeStream, ReadReport]:
    """Read a whole file of flow records.

    Args:
        format: one of `FORMATS`; recognised from the first line where it is not given.

    Raises:
        UnreadableFlows: as `iterate`.
    """
    report = ReadReport(source=str(path), format=format or "")
    return concat(list(iterate(path, report, pseudonym_key=pseudonym_key))), report


def _parser(name: str) -> Callable[[Iterable[tuple[int, str]], ReadReport], Iterator[Parsed]]:
    try:
        return _PARSERS[name]
    except KeyError:
        raise UnreadableFlows(f"there is no format {name!r}", expected=", ".join(FORMATS)) from None


def detect(lines: Iterator[tuple[int, str]], path: Path) -> tuple[str, Iterator[tuple[int, str]]]:
    """The format that the first line shows, and all the lines.

    Raises:
        UnreadableFlows: none of `FORMATS`.
    """
    for number, line in lines:
        if not line.strip():
            continue
        rest = chain(((number, line),), lines)
        if line.startswith("#"):
            return "zeek-tsv", rest
        if line.lstrip().startswith("{"):
            return "zeek-json", rest
        if "," in line and {"ts", "proto", "conn_state"} <= set(line.split(",")):
            return "zeek-csv", rest
        break
    raise UnreadableFlows(
        f"{path} holds no flow records in a known format",
        expected="a Zeek conn.log (TSV with its # header, or JSON lines) or a CSV with Zeek's column names",
        action=f"Name the format: {', '.join(FORMATS)}.",
    )


def _capture_name(path: Path) -> str:
    return path.name.split(".", 1)[0] or path.name
