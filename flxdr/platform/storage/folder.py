"""Files in a folder of this machine, or of a volume that all machines share."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from flxdr.core.canonical import digest as sha256
from flxdr.platform.storage.files import ensure_private_folder, flush_to_disk, sync_folder, temporary_file
from flxdr.platform.storage.store import BlobStore, Storage, checked, damaged, limited, missing


class FolderStore(BlobStore):
    """Files under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_stream(self, chunks: Iterable[bytes], limit: int, *, digest: str | None = None) -> tuple[str, int]:
        incoming = ensure_private_folder(self.root / "incoming")
        hasher = hashlib.sha256()
        size = 0
        with temporary_file(incoming) as (file, temporary):
            for chunk in limited(chunks, limit):
                size += len(chunk)
                if digest is None:
                    hasher.update(chunk)
                file.write(chunk)
            flush_to_disk(file)
            digest = digest or hasher.hexdigest()
            target = self.path(digest)
            if not target.parent.exists():
                ensure_private_folder(target.parent)
                sync_folder(self.root)
            os.replace(temporary, target)
        sync_folder(target.parent)
        return digest, size

    def get(self, digest: str) -> bytes:
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise missing(digest) from error
        if sha256(data) != digest:
            raise damaged(digest)
        return data

    def verify(self, digest: str) -> Path:
        path = self.path(digest)
        try:
            intact = has_digest(path, digest)
        except FileNotFoundError as error:
            raise missing(digest) from error
        if not intact:
            raise damaged(digest)
        return path

    def path(self, digest: str) -> Path:
        return self.root / checked(digest)[:2] / digest

    def exists(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def digests(self) -> Iterator[str]:
        for folder in sorted(self.root.glob("??")):
            yield from sorted(path.name for path in folder.iterdir())

    def discard(self, digest: str, *, older_than: datetime) -> bool:
        """Whoever stores the same content meanwhile does not lose it: what is taken away is looked at once more."""
        path, limit = self.path(digest), older_than.timestamp()
        taken = ensure_private_folder(self.root / "incoming") / f"discarded-{digest}"
        with suppress(FileNotFoundError):
            if path.stat().st_mtime > limit:
                return False
            path.rename(taken)
        with suppress(FileNotFoundError):  # it is here as well after a process that was killed between the two steps
            if taken.stat().st_mtime > limit:
                taken.replace(path)
                return False
            taken.unlink()
            sync_folder(path.parent)
        return True


class FolderStorage(Storage):
    """Stores in folders under `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def store(self, name: str) -> FolderStore:
        return FolderStore(self._root / name)

    def names(self, parent: str) -> list[str]:
        folder = self._root / parent
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def remove(self, name: str) -> None:
        shutil.rmtree(self._root / name, ignore_errors=True)

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()


def has_digest(path: Path, digest: str) -> bool:
    """Whether the file's bytes have that digest; they are read in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digest
