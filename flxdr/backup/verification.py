"""Is a backup whole, unchanged, and is the chain in it the one that somebody remembers?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flxdr.backup import files, manifest
from flxdr.backup.databases.interface import Database
from flxdr.backup.databases.postgresql import Postgresql
from flxdr.backup.databases.sqlite import Sqlite
from flxdr.backup.errors import BackupInvalid
from flxdr.backup.making import CHAIN
from flxdr.backup.manifest import Manifest
from flxdr.core.clock import Clock
from flxdr.core.errors import Malformed
from ledger.chain import export
from ledger.chain.anchoring import HeldCheckpoint, TreeWatch
from ledger.chain.verify import Report, verify_chain

_DATABASES: dict[str, type[Database]] = {"sqlite": Sqlite, "postgresql": Postgresql}


@dataclass(frozen=True)
class Verified:
    """A backup that holds; `sha256` is its manifest's."""

    folder: Path
    manifest: Manifest
    sha256: str
    chain: Report


def verify_backup(
    folder: Path,
    *,
    clock: Clock,
    sha256: str | None = None,
    genesis: str | None = None,
    checkpoints: Sequence[HeldCheckpoint] = (),
) -> Verified:
    """Read every byte of a backup and verify the chain in it; nothing but the folder is looked at.

    Args:
        sha256: of the manifest, as its backup printed it; without it whoever can write the folder can forge it.
        genesis: pinned genesis hash.
        checkpoints: what somebody outside holds; the chain has to reach and agree with each.

    Raises:
        BackupInvalid: a file is missing, one too many, or changed; or the chain does not verify.
        flxdr.backup.errors.ToolFailed: the programs that read the dump are missing.
    """
    document, found = manifest.read(folder)
    if sha256 is not None and found != sha256:
        raise BackupInvalid(f"the manifest's SHA-256 is {found}", expected=sha256, action="Use another backup.")
    for name, entry in document.files.items():
        _check_file(folder, name, entry)
    _check_blobs(folder, document)
    _refuse_others(folder, document)
    _DATABASES[document.software.database]().check(folder / document.dump)
    report = _verify_chain(folder / CHAIN, genesis, checkpoints, clock)
    if (report.blocks_verified, report.last_block_hash) != (document.chain.blocks, document.chain.head):
        raise BackupInvalid(
            f"{CHAIN} has {report.blocks_verified} blocks up to {report.last_block_hash}",
            expected=f"{document.chain.blocks} blocks up to {document.chain.head}",
        )
    return Verified(folder, document, found, report)


def _check_file(folder: Path, name: str, entry: manifest.FileEntry) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BackupInvalid(f"the manifest names {name!r}, outside of the backup", action="Use another backup.")
    try:
        actual = files.entry_of(path)
    except OSError as error:
        raise BackupInvalid(f"{name} cannot be read: {error.strerror}", action="Use another backup.") from error
    if actual != entry:
        raise BackupInvalid(
            f"{name} has {actual.bytes} bytes with SHA-256 {actual.sha256}: it was changed",
            expected=f"{entry.bytes} bytes with SHA-256 {entry.sha256}",
            action="Use another backup.",
        )


def digests(folder: Path, document: Manifest) -> Iterator[str]:
    """The names of the stored files that the backup holds, in constant memory."""
    absent = {*document.missing, *document.removed}
    with (folder / files.BLOB_LIST).open(encoding="ascii") as listed:
        for line in listed:
            if (digest := line.rstrip("\n")) not in absent:
                yield digest


def _check_blobs(folder: Path, document: Manifest) -> None:
    count = size = 0
    for digest in digests(folder, document):
        try:
            entry = files.entry_of(files.blob_path(folder, digest))
        except OSError as error:
            raise BackupInvalid(
                f"the stored file {digest} cannot be read: {error.strerror}", action="Use another backup."
            ) from error
        if entry.sha256 != digest:
            raise BackupInvalid(f"the stored file {digest} was changed", action="Use another backup.")
        count += 1
        size += entry.bytes
    if (count, size) != (document.blobs, document.blob_bytes):
        raise BackupInvalid(
            f"there are {count} stored files of {size} bytes",
            expected=f"{document.blobs} of {document.blob_bytes}",
            action="Use another backup.",
        )


def _refuse_others(folder: Path, document: Manifest) -> None:
    """A file that nothing vouches for: somebody put it there."""
    named = {*document.files, manifest.NAME}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        is_blob = name.startswith(f"{files.BLOBS}/") and path == files.blob_path(folder, path.name)
        if not path.is_dir() and not is_blob and name not in named:
            raise BackupInvalid(f"{name} is in no list of the backup", action="Find out who put it there.")


def _verify_chain(path: Path, genesis: str | None, checkpoints: Sequence[HeldCheckpoint], clock: Clock) -> Report:
    with path.open("rb") as file:
        try:
            own = export.own_checkpoint(file)
        except Malformed as error:
            raise BackupInvalid(f"the checkpoint in {CHAIN} cannot be read: {error.detail}") from error
        tree = TreeWatch([*checkpoints, *own])
        report = verify_chain(export.records(file), genesis=genesis, tree=tree, now=clock.now()).report
    if report.first_bad is not None:
        bad = report.first_bad
        raise BackupInvalid(
            f"the chain in the backup does not hold at height {bad.height} ({bad.code}): {bad.field} is {bad.actual}",
            expected=f"{bad.field} {bad.expected}",
            height=bad.height,
            check=bad.code,
        )
    return report
