"""`sanitize`: what of a log file would leave, and what was taken out of it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer
from rich.table import Table

from federation.agent import files
from federation.agent import home as agent_home
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, reporting
from federation.agent.errors import DataInvalid, UsageInvalid
from federation.agent.output import table
from federation.agent.records import AUTO
from models_ml.adapters import ReadReport
from models_ml.errors import UnreadableFlows
from privacy.sanitize.kinds import TOKEN
from privacy.sanitize.log_files import LOG_FORMATS, read_log
from privacy.sanitize.pseudonyms import Pseudonyms
from privacy.sanitize.records import Sanitizer
from privacy.sanitize.report import Report

EXAMPLES = 3
_SHOWN_FIELDS = 20


def sanitize(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A log: plain, gzip-compressed or a zip archive.")],
    form: Annotated[str, typer.Option("--format", help=f"{AUTO}, {', '.join(LOG_FORMATS)}.")] = AUTO,
    prefix_preserving: Annotated[
        bool, typer.Option("--prefix-preserving", help="Keep subnets together: Crypto-PAn addresses.")
    ] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N records.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="New file for the sanitised records, JSON lines.")] = None,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Show what would leave of a log file and what the sanitiser takes out; nothing is sent."""
    with reporting(machine) as output:
        secret = agent_home.Home(home.expanduser()).sanitizer_secret()
        sanitizer = Sanitizer(Pseudonyms(secret, prefix_preserving=prefix_preserving))
        read = ReadReport(source=str(file), format="" if form == AUTO else form)
        report, examples = Report(), Examples()
        with _new_file(out) as target:
            for line in islice(_sanitised(file, sanitizer, read, report), limit):
                examples.add(line)
                if target:
                    target.write(line + b"\n")
        document = {
            "source": read.source,
            "format": read.format,
            "malformed": read.malformed,
            "malformed_examples": [{"line": bad.number, "reason": bad.reason} for bad in read.examples],
            "pseudonyms": examples.as_json(),
        } | _nameable(report.as_json(), sanitizer)
        output.result(document, *_tables(document))


class Examples:
    """The first pseudonyms of each kind."""

    def __init__(self) -> None:
        self._tokens: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, line: bytes) -> None:
        for match in TOKEN.finditer(line.decode()):
            known = self._tokens[match[0][1:].partition(":")[0]]
            if len(known) < EXAMPLES and match[0] not in known:
                known.append(match[0])

    def as_json(self) -> dict[str, list[str]]:
        return dict(sorted(self._tokens.items()))


def _sanitised(file: Path, sanitizer: Sanitizer, read: ReadReport, report: Report) -> Iterator[bytes]:
    try:
        for kind, record in read_log(file, read):
            yield orjson.dumps(sanitizer.record(record, kind, report))
    except UnreadableFlows as error:
        raise DataInvalid(error.detail, expected=error.expected, action=error.action) from error


@contextmanager
def _new_file(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, files.PRIVATE_FILE)
    except OSError as error:
        raise UsageInvalid(f"{path} cannot be made: {error.strerror}", expected="a new file for --out") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
    except BaseException:
        path.unlink()  # what looks like all of a log and is a part of it misleads
        raise


def _nameable(counts: dict[str, Any], sanitizer: Sanitizer) -> dict[str, Any]:
    """The counts, with names of dropped fields as they may be shown: names can hold identifiers too."""
    named: defaultdict[str, int] = defaultdict(int)
    for name, count in counts["dropped_fields"].items():
        named[sanitizer.field_name(name)] += count
    return counts | {"dropped_fields": dict(named)}


def _tables(document: Mapping[str, Any]) -> Iterable[str | Table]:
    yield f"{document['source']} ({document['format']})"
    yield (
        f"{document['records']} records, {document['malformed']} bad lines; of {document['values_seen']} values "
        f"{document['values_dropped']} dropped and {document['values_replaced']} replaced: "
        f"a sanitization rate of {document['sanitization_rate']:.4f}"
    )
    for bad in document["malformed_examples"]:
        yield f"  line {bad['line']}: {bad['reason']}"
    examples = document["pseudonyms"]
    rows = [(kind, count, " ".join(examples.get(kind, ()))) for kind, count in document["identifiers"].items()]
    yield table("Identifiers replaced", ("kind", "count", "pseudonyms, e.g."), rows)
    for title, key in (("Fields with replacements", "replaced_fields"), ("Fields dropped", "dropped_fields")):
        yield table(title, ("field", "values"), list(document[key].items())[:_SHOWN_FIELDS])
