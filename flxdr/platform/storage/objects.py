"""Files in an S3 bucket. They are read from verified copies on this machine, each of which is fetched once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path

from flxdr.platform.storage.bucket import Bucket, NoSuchObject
from flxdr.platform.storage.cache import FileCache
from flxdr.platform.storage.files import temporary_file
from flxdr.platform.storage.folder import has_digest
from flxdr.platform.storage.store import BlobStore, Storage, checked, damaged, limited, missing


class ObjectStore(BlobStore):
    """Objects `NAME/ab/abcd...` of a bucket."""

    def __init__(self, name: str, bucket: Bucket, cache: FileCache) -> None:
        self._name, self._bucket, self._cache = name, bucket, cache

    def put_stream(self, chunks: Iterable[bytes], limit: int, *, digest: str | None = None) -> tuple[str, int]:
        """The bytes go to a temporary file first, so that the bucket never sees what is refused or breaks off."""
        hasher = hashlib.sha256()
        size = 0
        with temporary_file(self._cache.incoming()) as (file, temporary):
            for chunk in limited(chunks, limit):
                size += len(chunk)
                if digest is None:
                    hasher.update(chunk)
                file.write(chunk)
            file.flush()
            digest = digest or hasher.hexdigest()
            self._bucket.upload(self._key(digest), temporary)
            self._cache.add(digest, temporary, used=False)
        return digest, size

    def verify(self, digest: str) -> Path:
        """A copy that has changed is fetched anew; only an object that has changed is damage."""
        found = self._cache.find(checked(digest))
        if found is not None:
            with suppress(FileNotFoundError):
                if has_digest(found, digest):
                    return found
            self._cache.drop(digest)
        return self._fetched(digest)

    def path(self, digest: str) -> Path:
        return self._cache.find(checked(digest)) or self._fetched(digest)

    def exists(self, digest: str) -> bool:
        return self._bucket.exists(self._key(digest))

    def digests(self) -> Iterator[str]:
        for key in self._bucket.names_below(self._name):
            yield key.rpartition("/")[2]

    def discard(self, digest: str, *, older_than: datetime) -> bool:
        """S3 has no way to look and remove in one step: what is stored again between the two requests is lost."""
        key = self._key(digest)
        with suppress(NoSuchObject):
            if self._bucket.modified(key) > older_than:
                return False
            self._bucket.delete(key)
        self._cache.drop(digest)
        return True

    def _fetched(self, digest: str) -> Path:
        with self._cache.fetching(digest):
            found = self._cache.find(digest)
            if found is not None:
                return found
            hasher = hashlib.sha256()
            with temporary_file(self._cache.incoming()) as (file, temporary):
                try:
                    for chunk in self._bucket.download(self._key(digest)):
                        hasher.update(chunk)
                        file.write(chunk)
                except NoSuchObject as error:
                    raise missing(digest) from error
                file.flush()
                if hasher.hexdigest() != digest:
                    raise damaged(digest)
                return self._cache.add(digest, temporary, used=True)

    def _key(self, digest: str) -> str:
        return f"{self._name}/{checked(digest)[:2]}/{digest}"


class ObjectStorage(Storage):
    """Stores in a bucket, with one cache."""

    def __init__(self, bucket: Bucket, cache: FileCache) -> None:
        self._bucket, self._cache = bucket, cache

    def store(self, name: str) -> ObjectStore:
        return ObjectStore(name, self._bucket, self._cache)

    def names(self, parent: str) -> list[str]:
        return self._bucket.folders(parent)

    def remove(self, name: str) -> None:
        self._bucket.delete_below(name)

    def held(self) -> AbstractContextManager[None]:
        return self._cache.held()
