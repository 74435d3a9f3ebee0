"""The organisation's flow records: read where they lie, the last slice in time kept for validation."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from federation.agent.config import DataSection
from federation.agent.errors import DataInvalid
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import PrivateKey
from models_ml.adapters import Reading, ReadReport, read
from models_ml.edge_stream import EdgeStream, concat
from models_ml.sources.host_embeddings import HostEmbeddings
from models_ml.sources.threat_intel import ThreatIntel
from models_ml.validation import hold_out

AUTO = "auto"


@dataclass(frozen=True)
class Records:
    """Records to train on, later ones to validate on, and how the files read."""

    training: EdgeStream
    validation: EdgeStream
    reports: tuple[ReadReport, ...]

    @property
    def everything(self) -> EdgeStream:
        return concat([self.training, self.validation])

    @property
    def sanitization_rate(self) -> float:
        """Share of the records' values that no feature ever sees: columns that are not read, and hosts."""
        seen = sum(report.values_seen for report in self.reports)
        return sum(report.values_removed for report in self.reports) / seen if seen else 0.0


class RecordSource:
    """Reads the configured files, again only when one of them has changed."""

    def __init__(self, section: DataSection, home: Path, key: PrivateKey) -> None:
        self._section = section
        self._home = home
        self._pseudonym_key = hmac.digest(key.seed, b"flxdr.agent.pseudonyms", hashlib.sha256)
        self._read: tuple[object, Records] | None = None

    @property
    def is_configured(self) -> bool:
        return bool(self._section.paths)

    @cached_property
    def reading(self) -> Reading:
        """How this organisation's files are read: its pseudonyms, its indicators, its assumptions.

        Raises:
            DataInvalid: a file of indicators cannot be read.
        """
        section = self._section
        is_listed = None
        if section.threat_intel:
            try:
                paths = [self._home / path for path in section.threat_intel]
                is_listed = ThreatIntel.read(paths, now=datetime.now(UTC)).is_listed
            except FlxdrError as error:
                raise DataInvalid(
                    error.detail, expected=error.expected, action="Correct [data] threat_intel in agent.toml."
                ) from error
        return Reading(self._pseudonym_key, is_listed, section.assumed_rate or None)

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when one of the configured files does.

        Raises:
            DataInvalid: there are none.
        """
        found = [(str(path), path.stat()) for path in self._files()]
        return tuple((name, state.st_mtime_ns, state.st_size) for name, state in found)

    @cached_property
    def host_embeddings(self) -> HostEmbeddings | None:
        """Embeddings of this organisation's hosts, where it has some.

        Raises:
            DataInvalid: the file cannot be read.
        """
        if not self._section.host_embeddings:
            return None
        try:
            return HostEmbeddings.read(self._home / self._section.host_embeddings, self._pseudonym_key)
        except FlxdrError as error:
            raise DataInvalid(
                error.detail, expected=error.expected, action="Correct [data] host_embeddings in agent.toml."
            ) from error

    def load(self) -> Records:
        """All records.

        Raises:
            DataInvalid: no files are configured, or one cannot be read, or they hold no record.
        """
        files, stamp = self._files(), self.stamp()
        if self._read is None or self._read[0] != stamp:
            stream, reports = self._read_files(files)
            training, validation = hold_out(stream)
            self._read = (stamp, Records(training, validation, reports))
        return self._read[1]

    def load_files(self, paths: Sequence[Path]) -> tuple[EdgeStream, tuple[ReadReport, ...]]:
        """Files beside the configured ones (a test set), all of them.

        Raises:
            DataInvalid: one cannot be read, or they hold no record.
        """
        return self._read_files(paths)

    def _files(self) -> list[Path]:
        if not self._section.paths:
            raise DataInvalid("no flow records are configured", action="Set [data] paths in agent.toml.")
        found: list[Path] = []
        for text in self._section.paths:
            path = self._home / text
            found += sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
        missing = [str(path) for path in found if not path.is_file()]
        if missing or not found:
            raise DataInvalid(
                f"no flow records at {', '.join(missing or self._section.paths)}",
                action="Correct [data] paths in agent.toml.",
            )
        return found

    def _read_files(self, files: Sequence[Path]) -> tuple[EdgeStream, tuple[ReadReport, ...]]:
        form = None if self._section.format == AUTO else self._section.format
        streams, reports = [], []
        for path in files:
            try:
                stream, report = read(path, form, how=self.reading)
            except FlxdrError as error:
                raise DataInvalid(error.detail, expected=error.expected, action=error.action) from error
            streams.append(stream)
            reports.append(report)
        everything = concat(streams)
        if not len(everything):
            raise DataInvalid(f"{', '.join(map(str, files))}: no flow record", expected="at least one readable line")
        return everything, tuple(reports)
