"""Copies whose bytes are known: hashed while they are written, on the disk before they count."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flxdr.backup.manifest import FileEntry
from flxdr.platform.storage.files import PRIVATE, ensure_private_folder, flush_to_disk, sync_folder

_CHUNK = 2**20
BLOBS = "blobs"
BLOB_LIST = "blobs.txt"


def blob_path(folder: Path, digest: str) -> Path:
    """Where a backup keeps the file with that digest."""
    return folder / BLOBS / digest[:2] / digest


def chunks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a piece at a time."""
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data


def entry_of(path: Path) -> FileEntry:
    """Read a file for its size and hash.

    Raises:
        OSError: it cannot be read.
    """
    hasher, size = hashlib.sha256(), 0
    for data in chunks_of(path):
        hasher.update(data)
        size += len(data)
    return FileEntry(size, hasher.hexdigest())


def copy(source: Path, target: Path) -> FileEntry:
    """Copy a file, hashing what is written.

    Raises:
        OSError: it cannot be read or written; what was written so far stays.
    """
    ensure_private_folder(target.parent)
    hasher, size = hashlib.sha256(), 0
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
        for data in chunks_of(source):
            hasher.update(data)
            size += len(data)
            file.write(data)
        flush_to_disk(file)
    return FileEntry(size, hasher.hexdigest())


def link_if_same(source: Path, target: Path, sha256: str) -> FileEntry | None:
    """Link to a file of an earlier backup if it is there and its bytes still have that hash; else None."""
    with suppress(OSError):
        entry = entry_of(source)
        if entry.sha256 == sha256:
            ensure_private_folder(target.parent)
            os.link(source, target)
            return entry
    return None


def write(target: Path, data: bytes) -> FileEntry:
    """Write a small file.

    Raises:
        OSError: it cannot be written.
    """
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
        file.write(data)
        flush_to_disk(file)
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())


def sync_tree(folder: Path) -> None:
    """Make every name below a folder survive a power cut."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def sync_file(path: Path) -> None:
    """Make what another program wrote survive a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
