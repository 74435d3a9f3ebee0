"""Durable files: either whole and on the disk, or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600


def ensure_private_folder(folder: Path) -> Path:
    """Create `folder` (and its parents) so that only this user can enter it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def temporary_file(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A private temporary file in `folder`, on the disk when the block ends, gone when the caller did not move it."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".incoming-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file, path
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def flush_to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def create_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`, made by `make` if the file does not exist yet.

    Several processes may call this at once: one of them creates the file, all of them return its content. The file is
    readable by its owner only.
    """
    with suppress(FileNotFoundError):
        return path.read_bytes()
    ensure_private_folder(path.parent)
    with temporary_file(path.parent) as (file, temporary):
        file.write(make())
        flush_to_disk(file)
        with suppress(FileExistsError):
            os.link(temporary, path)  # unlike a rename, a link never replaces what another process made first
    sync_folder(path.parent)
    return path.read_bytes()
