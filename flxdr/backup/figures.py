"""The backups' figure for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from flxdr.backup.record import last_backup
from flxdr.platform.metrics.figures import Figure, Sample, Source, register_source

BACKUP = Figure("flxdr_backup_timestamp_seconds", "When the last backup was made, in seconds since 1970.")


def register() -> None:
    """Let `/metrics` tell it."""
    register_source(Source("backup", (BACKUP,), read))


def read() -> Iterator[Sample]:
    backup = last_backup()
    if backup is not None:
        yield BACKUP.at(backup.at.timestamp())
