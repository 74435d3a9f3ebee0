"""Content-addressed files: a file's name is the SHA-256 of its bytes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from django.conf import settings

from flxdr.core.canonical import digest as sha256
from flxdr.platform.errors import BlobDamaged, BlobMissing, BlobTooLarge
from flxdr.platform.storage.files import ensure_private_folder, flush_to_disk, sync_folder, temporary_file

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class BlobStore:
    """Files under `root`, whole or absent, the same content once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Store `data` and return its digest; on the disk when this returns."""
        digest, _ = self.put_stream([data], limit=len(data))
        return digest

    def put_stream(self, chunks: Iterable[bytes], limit: int) -> tuple[str, int]:
        """Store what `chunks` yields, without holding it in memory.

        Returns:
            The digest and the number of bytes.

        Raises:
            BlobTooLarge: more than `limit` bytes; nothing is kept.
        """
        incoming = ensure_private_folder(self.root / "incoming")
        hasher = hashlib.sha256()
        size = 0
        with temporary_file(incoming) as (file, temporary):
            for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise BlobTooLarge(
                        f"the body has more than {limit} bytes",
                        expected=f"at most {limit} bytes",
                        action="Send a smaller update, or ask the operator to raise FL_MAX_SUBMISSION_BYTES.",
                        limit=limit,
                    )
                hasher.update(chunk)
                file.write(chunk)
            flush_to_disk(file)
            digest = hasher.hexdigest()
            target = self.path(digest)
            if not target.parent.exists():
                ensure_private_folder(target.parent)
                sync_folder(self.root)
            os.replace(temporary, target)
        sync_folder(target.parent)
        return digest, size

    def get(self, digest: str, *, verify: bool = True) -> bytes:
        """The bytes of a stored file.

        Args:
            verify: hash the bytes again and refuse those that do not fit their name.

        Raises:
            BlobMissing: there is none.
            BlobDamaged: its bytes changed on the disk.
        """
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise _missing(digest) from error
        if verify and sha256(data) != digest:
            raise _damaged(digest)
        return data

    def verify(self, digest: str) -> Path:
        """Where a stored file is whose bytes still have this digest; they are read once, in constant memory.

        Raises:
            BlobMissing: there is none.
            BlobDamaged: its bytes changed on the disk.
        """
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise _missing(digest) from error
        if found != digest:
            raise _damaged(digest)
        return path

    def discard(self, digest: str, *, older_than: datetime) -> bool:
        """Remove a stored file, unless it was stored (again) after that moment; whether it is gone.

        Whoever stores the same content meanwhile does not lose it: what is taken away is looked at once more.
        """
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

    def exists(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where the file with this digest is, or would be.

        Raises:
            BlobMissing: the text is no digest, so that no path leads out of the store.
        """
        if not _DIGEST.match(digest):
            raise BlobMissing("the name is no digest of a file", expected="64 lower-case hexadecimal digits")
        return self.root / digest[:2] / digest


def _missing(digest: str) -> BlobMissing:
    return BlobMissing(f"no file {digest} is stored", digest=digest)


def _damaged(digest: str) -> BlobDamaged:
    return BlobDamaged(f"the stored file {digest} has changed", action="Restore it from a backup.", digest=digest)


def blobs() -> BlobStore:
    """The store of the configured data folder."""
    return BlobStore(settings.FLXDR.data_dir / "blobs")
