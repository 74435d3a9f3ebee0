"""Writing files so that a reader sees the old or the new content, whole, even after a power cut."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def make_private_folder(path: Path) -> None:
    """Create `path` (and its parents) for its owner alone; an existing folder is narrowed."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    path.chmod(PRIVATE_FOLDER)


def write_durably(path: Path, data: bytes, *, overwrite: bool = True) -> None:
    """Write a file of mode 0600 by temp file, fsync and rename (or link, when it must not exist yet).

    Raises:
        FileExistsError: `overwrite` is false and `path` exists.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def move_durably(source: Path, target: Path) -> None:
    """Let `source` take the place of `target` in the same folder.

    Raises:
        FileNotFoundError: there is no `source`.
    """
    source.replace(target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_newest(folder: Path, count: int, *, spare: frozenset[str] = frozenset()) -> None:
    """Remove all files but the `count` newest; names in `spare` stay whatever their age."""
    found = sorted((path for path in folder.iterdir() if path.is_file()), key=lambda path: path.stat().st_mtime)
    for path in found[: max(0, len(found) - count)]:
        if path.name not in spare:
            path.unlink(missing_ok=True)
