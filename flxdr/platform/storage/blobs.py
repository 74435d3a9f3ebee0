"""The configured place of the files: a folder of the state, or a bucket."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from flxdr.platform.storage.address import BucketAddress
from flxdr.platform.storage.folder import FolderStorage
from flxdr.platform.storage.store import BlobStore, Storage


def blobs() -> BlobStore:
    """The files that rows name by their digests."""
    return configured().store("blobs")


def held() -> AbstractContextManager[None]:
    """See `Storage.held`: for work that reads stored files for longer than it takes to open them."""
    return configured().held()


def configured() -> Storage:
    """Where the settings keep files."""
    env = settings.FLXDR
    if env.blobs_s3_bucket is None:
        return FolderStorage(env.data_dir)
    address = BucketAddress(
        name=env.blobs_s3_bucket,
        endpoint=env.blobs_s3_endpoint,
        region=env.blobs_s3_region,
        prefix=env.blobs_s3_prefix or "",
        access_key_id=env.blobs_s3_access_key_id,
        secret_access_key=env.blobs_s3_secret_access_key,
    )
    return _object_storage(address, env.data_dir / "cache", env.blobs_cache_bytes)


@lru_cache(maxsize=1)
def _object_storage(address: BucketAddress, cache: Path, limit: int) -> Storage:
    """One for the whole process: it keeps the connections."""
    from flxdr.platform.storage.bucket import Bucket  # noqa: PLC0415 - its client is large, and most never need it
    from flxdr.platform.storage.cache import FileCache  # noqa: PLC0415
    from flxdr.platform.storage.objects import ObjectStorage  # noqa: PLC0415

    return ObjectStorage(Bucket(address), FileCache(cache, limit))
