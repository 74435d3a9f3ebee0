"""What keeps files: by content, whole or absent, the same content once. Two kinds do it, a folder and an S3 bucket."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path

from flxdr.core.canonical import digest as sha256
from flxdr.platform.errors import BlobDamaged, BlobMissing, BlobTooLarge

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class BlobStore(ABC):
    """Files whose names are the SHA-256 of their bytes.

    Every method that takes a digest raises BlobMissing for a text that is none, so that no name leads out of the
    store. Where the files are on other machines, every method may raise StorageUnavailable: a later try may succeed.
    """

    def put(self, data: bytes, *, digest: str | None = None) -> str:
        """Store `data` and return its digest; it survives a power cut when this returns.

        Args:
            digest: of these bytes, from who has just computed it. A file under a wrong one counts as damaged.
        """
        digest, _ = self.put_stream([data], limit=len(data), digest=digest)
        return digest

    @abstractmethod
    def put_stream(self, chunks: Iterable[bytes], limit: int, *, digest: str | None = None) -> tuple[str, int]:
        """Store what `chunks` yields, without holding it in memory; `digest` as for `put`.

        Returns:
            The digest and the number of bytes.

        Raises:
            BlobTooLarge: more than `limit` bytes; nothing is kept.
        """

    def get(self, digest: str) -> bytes:
        """The bytes of a stored file.

        Raises:
            BlobMissing: there is none.
            BlobDamaged: its bytes changed.
        """
        data = self.verify(digest).read_bytes()
        if sha256(data) != digest:
            raise damaged(digest)
        return data

    @abstractmethod
    def verify(self, digest: str) -> Path:
        """Where a stored file can be read whose bytes still have this digest; they are read once, in constant memory.

        Raises:
            BlobMissing: there is none.
            BlobDamaged: its bytes changed.
        """

    @abstractmethod
    def path(self, digest: str) -> Path:
        """Where a stored file can be read now. See `Storage.held` for how long it stays there.

        Raises:
            BlobMissing: there is none. A folder leaves this to whoever opens the file.
        """

    @abstractmethod
    def exists(self, digest: str) -> bool: ...

    @abstractmethod
    def digests(self) -> Iterator[str]:
        """Every stored file, in order."""

    @abstractmethod
    def discard(self, digest: str, *, older_than: datetime) -> bool:
        """Remove a stored file, unless it was stored (again) after that moment; whether it is gone."""


class Storage(ABC):
    """A place for stores, which tells them apart by name."""

    @abstractmethod
    def store(self, name: str) -> BlobStore: ...

    @abstractmethod
    def names(self, parent: str) -> Sequence[str]:
        """The names of the stores `parent/NAME` that hold something."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Throw a store away; what somebody else writes into it at this moment may be left."""

    @abstractmethod
    def held(self) -> AbstractContextManager[None]:
        """While the block runs, the paths that this thread was given in it stay readable.

        Outside of such a block they do for a minute: enough to open the file, after which it can be read to its end.
        """


def checked(digest: str) -> str:
    """The digest itself.

    Raises:
        BlobMissing: the text is none.
    """
    if not _DIGEST.match(digest):
        raise BlobMissing("the name is no digest of a file", expected="64 lower-case hexadecimal digits")
    return digest


def limited(chunks: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The chunks, as long as they have no more than `limit` bytes together.

    Raises:
        BlobTooLarge: they have.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise BlobTooLarge(
                f"the body has more than {limit} bytes",
                expected=f"at most {limit} bytes",
                action="Send a smaller update, or ask the operator to raise FL_MAX_SUBMISSION_BYTES.",
                limit=limit,
            )
        yield chunk


def missing(digest: str) -> BlobMissing:
    return BlobMissing(f"no file {digest} is stored", digest=digest)


def damaged(digest: str) -> BlobDamaged:
    return BlobDamaged(f"the stored file {digest} has changed", action="Restore it from a backup.", digest=digest)
