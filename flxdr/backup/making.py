"""Making a backup while the coordinator runs.

Everything is of one moment: the database's dump, the export of the chain and the list of files are read from one
snapshot, which holds nobody up. The files follow; none of them ever changes, and one that is removed meanwhile was due
to be. What is written has another name until it is whole and on the disk.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

import ledger.selectors
from federation.models import Organization, Submission, TrainingRound
from federation.selectors.stored_files import named_files
from flxdr.backup import files, manifest
from flxdr.backup.databases.configured import database
from flxdr.backup.errors import BackupConflict
from flxdr.backup.manifest import Chain, FileEntry, Manifest, Software
from flxdr.backup.record import MADE
from flxdr.core.clock import Clock, format_timestamp
from flxdr.core.version import VERSION
from flxdr.platform.audit import record_event
from flxdr.platform.errors import BlobDamaged, BlobMissing
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.files import ensure_private_folder, sync_folder
from ledger.services import exporting

CHAIN, CHECKPOINT, KEYS = "chain.jsonl", "checkpoint.json", "keys"
PARTIAL = ".partial-"
_ATTEMPTS = 3
_log = structlog.get_logger("flxdr.backup")


@dataclass(frozen=True)
class Made:
    """A backup that is on the disk; `sha256` is its manifest's."""

    folder: Path
    manifest: Manifest
    sha256: str
    linked: int
    bytes: int


def make_backup(*, into: Path, clock: Clock, with_keys: bool = False) -> Made:
    """Make a backup in a new folder below `into`, named after the moment.

    Args:
        with_keys: also copy the coordinator's keys from `FL_DATA_DIR/keys`.

    Raises:
        BackupConflict: another backup is being made there.
        ledger.errors.BlockMissing: there is nothing to back up yet.
        OSError: the folder cannot be written; nothing is left of the backup.
        flxdr.backup.errors.ToolFailed: a program of the database is missing or failed; as above.
    """
    ensure_private_folder(into)
    with alone(into):
        _sweep(into)
        began = clock.now()
        name = began.strftime("%Y%m%dT%H%M%S.%fZ")
        partial = ensure_private_folder(into / f"{PARTIAL}{name}")
        try:
            made = _Draft(partial, _newest(into), clock).take(began, with_keys=with_keys)
            files.sync_tree(partial)
            partial.rename(into / name)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync_folder(into)
        made = replace(made, folder=into / name)
    with transaction.atomic():
        record_event(kind=MADE, actor="command", subject=name, data=_told(made), clock=clock)
    return made


def backups_in(into: Path) -> list[Path]:
    """Every whole backup of a folder, oldest first."""
    return sorted(path.parent for path in into.glob(f"[!.]*/{manifest.NAME}"))


def _newest(into: Path) -> Path | None:
    return max(backups_in(into), default=None, key=lambda folder: folder.name)


@dataclass(frozen=True)
class _Blobs:
    """The stored files of a backup, as its manifest names them."""

    count: int
    bytes: int
    missing: tuple[str, ...]
    removed: tuple[str, ...]


class _Draft:
    """A backup that is being written."""

    def __init__(self, folder: Path, former: Path | None, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._former = former
        self._files: dict[str, FileEntry] = {}
        self._database = database()
        self._linked = 0

    def take(self, moment: datetime, *, with_keys: bool) -> Made:
        with self._database.one_moment():
            extent = exporting.extent()
            software, counts = self._software(), _counts()
            key = ledger.selectors.coordinator_key_id() or ""
            with (self._folder / files.BLOB_LIST).open("x", encoding="ascii") as listed:
                listed.writelines(f"{digest}\n" for digest in named_files())
            exporting.replace(self._folder / CHAIN, extent)
            self._database.dump(self._folder / self._database.dump_name)
        for name in (CHAIN, self._database.dump_name, files.BLOB_LIST):
            self._files[name] = files.entry_of(self._folder / name)
            files.sync_file(self._folder / name)
        if extent.checkpoint is not None:
            self._write(CHECKPOINT, orjson.dumps(extent.checkpoint) + b"\n")
        if with_keys:
            self._copy_keys()
        blobs_found = self._copy_blobs()
        document = Manifest(
            made_at=format_timestamp(moment),
            software=software,
            chain=Chain(extent.chain_id, extent.blocks, extent.head, key, extent.checkpoint is not None),
            dump=self._database.dump_name,
            files=self._files,
            blobs=blobs_found.count,
            blob_bytes=blobs_found.bytes,
            missing=blobs_found.missing,
            removed=blobs_found.removed,
            counts=counts,
            has_keys=with_keys,
        )
        written = files.write(self._folder / manifest.NAME, document.encode())
        total = written.bytes + document.blob_bytes + sum(entry.bytes for entry in self._files.values())
        return Made(self._folder, document, written.sha256, self._linked, total)

    def _software(self) -> Software:
        applied = sorted(MigrationRecorder(connection).applied_migrations())
        return Software(VERSION, self._database.name, self._database.version(), dict(applied))

    def _write(self, name: str, data: bytes) -> None:
        self._files[name] = files.write(self._folder / name, data)

    def _copy_keys(self) -> None:
        for path in sorted((settings.FLXDR.data_dir / "keys").glob("*_seed*")):
            self._files[f"{KEYS}/{path.name}"] = files.copy(path, self._folder / KEYS / path.name)

    def _copy_blobs(self) -> _Blobs:
        size, count, missing = 0, 0, []
        with (self._folder / files.BLOB_LIST).open(encoding="ascii") as listed:
            for line in listed:
                digest = line.rstrip("\n")
                entry = self._blob(digest)
                if entry is None:
                    missing.append(digest)
                else:
                    count += 1
                    size += entry.bytes
        removed = _discarded(missing, self._clock) if missing else set()
        lost = tuple(digest for digest in missing if digest not in removed)
        return _Blobs(count, size, lost, tuple(sorted(removed)))

    def _blob(self, digest: str) -> FileEntry | None:
        target = files.blob_path(self._folder, digest)
        if self._former is not None:
            linked = files.link_if_same(files.blob_path(self._former, digest), target, digest)
            if linked is not None:
                self._linked += 1
                return linked
        for _ in range(_ATTEMPTS):
            try:
                entry = files.copy(blobs().verify(digest), target)
            except (BlobMissing, BlobDamaged) as error:
                _log.warning("a file is not to be had", digest=digest, reason=str(error))
                return None
            except FileNotFoundError:  # a copy that a cache gave up after it was verified
                target.unlink(missing_ok=True)
                continue
            if entry.sha256 == digest:
                return entry
            target.unlink()  # it changed after it was looked at
        return None


def _discarded(digests: list[str], clock: Clock) -> set[str]:
    """Which of them retention has removed, or is about to: the files go first, the rows that say so after them."""
    days = settings.FLXDR.update_retention_days
    rows = TrainingRound.objects.exclude(status__in=TrainingRound.OPEN)
    gone = rows.exclude(updates_discarded_at=None)
    if days:
        gone |= rows.filter(finished_at__lte=clock.now() - timedelta(days=days))
    still = set(named_files(kept=TrainingRound.objects.exclude(pk__in=gone.values("pk"))))
    return set(digests) - still


def _counts() -> dict[str, int]:
    return {
        "organizations": Organization.objects.count(),
        "rounds": TrainingRound.objects.count(),
        "submissions": Submission.objects.count(),
        "audit_events": AuditEvent.objects.count(),
    }


def _told(made: Made) -> dict[str, object]:
    return {
        "manifest_sha256": made.sha256,
        "bytes": made.bytes,
        "files": made.manifest.blobs,
        "missing": len(made.manifest.missing),
        "blocks": made.manifest.chain.blocks,
        "keys": made.manifest.has_keys,
    }


@contextmanager
def alone(into: Path) -> Iterator[None]:
    descriptor = os.open(into / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupConflict(f"another backup is being made in {into}", action="Wait for it.") from error
        yield
    finally:
        os.close(descriptor)


def _sweep(into: Path) -> None:
    """Remove what a process that was killed left: only one at a time writes here."""
    for path in into.glob(f"{PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)
