"""The bucket of an S3-compatible store: named objects, and one kind of error for all that may go wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files import File
from storages.backends.s3 import S3Storage

from flxdr.platform.errors import StorageUnavailable
from flxdr.platform.storage.address import BucketAddress

CHUNK_BYTES = 2**20
_PART_BYTES = 64 * 2**20
_log = structlog.get_logger("flxdr.storage")


class NoSuchObject(Exception):
    """The bucket answers, and holds no object of that name."""


class Bucket:
    """Objects by name.

    Every method raises StorageUnavailable where the store cannot be reached or refuses; the log has the reason.
    """

    def __init__(self, address: BucketAddress) -> None:
        self._storage = S3Storage(
            bucket_name=address.name,
            endpoint_url=address.endpoint,
            region_name=address.region,
            location=address.prefix,
            access_key=address.access_key_id,
            secret_key=address.secret_access_key,
            client_config=_client_config(own_endpoint=address.endpoint is not None),
            # Parts one after the other: memory for one, not for ten.
            transfer_config=TransferConfig(
                multipart_threshold=_PART_BYTES, multipart_chunksize=_PART_BYTES, use_threads=False
            ),
        )

    def upload(self, name: str, path: Path) -> None:
        """Store the file at `path` as the object `name`, whole or not at all."""
        with _troubles("upload", name), path.open("rb") as file:
            self._storage.save(name, File(file))

    def download(self, name: str) -> Iterator[bytes]:
        """The bytes of an object.

        Raises:
            NoSuchObject
        """
        with _troubles("download", name):
            answer = self._object(name).get()
            # An answer that breaks off within its head has no length, and would pass for an empty file.
            if answer.get("ContentLength") is None:
                raise _unavailable("download", name, EOFError("an answer without a length"))
            yield from answer["Body"].iter_chunks(CHUNK_BYTES)

    def exists(self, name: str) -> bool:
        with _troubles("look-up", name):
            return bool(self._storage.exists(name))

    def modified(self, name: str) -> datetime:
        """When the object was stored.

        Raises:
            NoSuchObject
        """
        with _troubles("look-up", name):
            modified: datetime = self._storage.get_modified_time(name)
            return modified

    def delete(self, name: str) -> None:
        """Remove an object, if there is one."""
        with _troubles("removal", name):
            self._storage.delete(name)

    def folders(self, name: str) -> list[str]:
        """The names below `name/` that have objects below them."""
        with _troubles("list", name):
            folders, _ = self._storage.listdir(name)
            return sorted(folders)

    def names_below(self, name: str) -> Iterator[str]:
        """The names of all objects below `name/`, in order."""
        with _troubles("list", name):
            for found in self._storage.bucket.objects.filter(Prefix=f"{self._object(name).key}/"):
                yield found.key

    def delete_below(self, name: str) -> None:
        """Remove all objects below `name/`."""
        with _troubles("removal", name):
            self._storage.bucket.objects.filter(Prefix=f"{self._object(name).key}/").delete()

    def _object(self, name: str) -> Any:
        return self._storage.bucket.Object("/".join(part for part in (self._storage.location, name) if part))


def _client_config(*, own_endpoint: bool) -> Config:
    return Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        # Not every server knows the newer checksums; the signature covers the body's SHA-256 instead.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if own_endpoint else "auto", "payload_signing_enabled": True},
    )


@contextmanager
def _troubles(what: str, name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            raise NoSuchObject(name) from error
        raise _unavailable(what, name, error) from error
    except (BotoCoreError, Boto3Error) as error:
        raise _unavailable(what, name, error) from error


def _unavailable(what: str, name: str, error: Exception) -> StorageUnavailable:
    _log.error("the object store failed", request=what, object=name, error=str(error))
    return StorageUnavailable(
        "the store of the files does not answer as it should",
        action="Try again shortly; if it stays, the operator finds the reason in the coordinator's log.",
        retry_after=5,
    )
