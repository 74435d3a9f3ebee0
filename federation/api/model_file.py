"""A model's canonical file as an answer: whole or in part, and only if the caller has not got it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from federation.api.byte_ranges import serve
from flxdr.platform.storage.blobs import blobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpResponseBase

    from federation.models import ModelVersion

MODEL_MEDIA_TYPE = "application/vnd.safetensors"
STANDING_HEADER = "Model-Standing"


def model_file(version: ModelVersion, *, meta: Mapping[str, str]) -> HttpResponseBase:
    """The file of a version, with what became of the version.

    Args:
        meta: the request's WSGI headers.

    Raises:
        BlobMissing: it is not stored here any more.
    """
    answer = serve(blobs().path(version.blob_digest), meta=meta, etag=version.model_hash, content_type=MODEL_MEDIA_TYPE)
    answer.headers[STANDING_HEADER] = version.status
    return answer
