"""Both kinds of stores for the tests that hold for either, and what is in them as seen from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.store import BlobStore
from tests.support.object_store import ObjectServer


class Kept(ABC):
    """The configured store, and the files that it really keeps."""

    @property
    def store(self) -> BlobStore:
        return blobs()

    @abstractmethod
    def digests(self) -> list[str]: ...

    @abstractmethod
    def change(self, digest: str, data: bytes) -> None: ...


class InFolder(Kept):
    def __init__(self, root: Path) -> None:
        self.root = root

    def digests(self) -> list[str]:
        return sorted(path.name for path in self.root.rglob("*") if path.is_file())

    def change(self, digest: str, data: bytes) -> None:
        self.store.path(digest).write_bytes(data)


class InBucket(Kept):
    """The copies on this machine are damaged as well, or they would serve."""

    def __init__(self, server: ObjectServer, cache: Path) -> None:
        self.server, self.cache = server, cache

    def digests(self) -> list[str]:
        return sorted(key.rpartition("/")[2] for key in self.server.objects() if key.startswith("blobs/"))

    def change(self, digest: str, data: bytes) -> None:
        self.server.write(f"blobs/{digest[:2]}/{digest}", data)
        for copy in self.cache.rglob(digest):
            copy.write_bytes(b"not this either")


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, data_dir: Path) -> Kept:
    if request.param == "folder":
        return InFolder(data_dir / "blobs")
    return InBucket(request.getfixturevalue("bucket"), data_dir / "cache")
