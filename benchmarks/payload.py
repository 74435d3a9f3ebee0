"""Reading a submission of a million values: our parsers against DRF's JSONParser on the same values as JSON lists.

Both are timed from the request as the view gets it to what the view works with: for the peer Python lists, for ours a
numpy array in its declared shape plus the SHA-256 of the body. Bodies above 8 MiB go through a temporary file, as in
production.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django
import numpy as np
from django.test import override_settings

from benchmarks.measure import Prepared, Row, against_peer, versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

VALUES = 1_000_000
SHAPE = (1000, 1000)
METRICS = {"loss": 0.45, "accuracy": 0.92}


def rows() -> list[Row]:
    """`payload.json_list.1e6`, `payload.base64.1e6` and `payload.safetensors.1e6`."""
    with _configured():
        return list(_rows())


@contextmanager
def _configured() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        os.environ["FL_DATA_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")
        django.setup()
        # Without this DRF's parser refuses 20 MB, whatever it could do with them; ours has a limit of its own.
        with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=None):
            yield


def _rows() -> Iterator[Row]:
    from models_ml import codec, fixed_point  # noqa: PLC0415 (after Django is set up, like all below)

    weights = np.random.default_rng(7).normal(scale=0.05, size=SHAPE).astype(np.float32)
    as_lists = _document({"model_weights": weights.tolist()})
    as_base64 = _document({"data": base64.b64encode(weights.tobytes()).decode(), "dtype": "float32"})
    as_tensors = codec.encode({"weights": fixed_point.quantise(weights)})
    peer = _drf(as_lists)
    versions_used = versions("djangorestframework", "msgspec", "safetensors", "numpy")
    for name, body, media_type, least in (
        ("json_list", as_lists, "application/json", 1.5),
        ("base64", as_base64, "application/json", 13.0),
        ("safetensors", as_tensors, "application/vnd.safetensors", 20.0),
    ):
        yield against_peer(
            f"payload.{name}.1e6",
            ours=_ours(body, media_type, weights),
            peer=peer,
            limit_ratio=least,
            note=f"{VALUES} float32 values, {len(body) / 1e6:.1f} MB against {len(as_lists) / 1e6:.1f} MB of JSON "
            f"lists for DRF's JSONParser; {versions_used}",
        )


def _document(gradient: dict[str, Any]) -> bytes:
    described = gradient | {"shape": list(SHAPE), "samples_seen": 1024}
    return json.dumps(
        {"round_id": "round-1-abc123", "org_id": "org-alpha", "gradient": described, "metrics": METRICS}
    ).encode()


def _ours(body: Any, media_type: str, weights: NDArray[np.float32]) -> Prepared:
    from rest_framework.request import Request  # noqa: PLC0415
    from rest_framework.test import APIRequestFactory  # noqa: PLC0415

    from federation.api import parsers  # noqa: PLC0415
    from federation.services.received import FlatValues  # noqa: PLC0415
    from federation.statements import Envelope, submission  # noqa: PLC0415

    statement = submission(
        chain_id="0" * 64,
        round_id="round-1-abc123",
        config_hash="0" * 64,
        org="org-alpha",
        parent_hash=None,
        kind="weights" if media_type == "application/json" else "delta",
        samples=1024,
        privacy={"mechanism": "none"},
        wire_digest="0" * 64,
        metrics=METRICS,
    )
    header: dict[str, Any] = {"HTTP_SUBMISSION_STATEMENT": Envelope(statement).compact()}
    readers = [parsers.JsonUpdateParser(), parsers.SafetensorsUpdateParser(), parsers.RawUpdateParser()]

    def prepare() -> Any:
        request = Request(APIRequestFactory().generic("POST", "/", body, media_type, **header), parsers=readers)
        return lambda: parsers.received_update(request)

    payload = prepare()().payload
    values = payload.values if isinstance(payload, FlatValues) else payload.tensors["weights"] / 2.0**24
    assert np.allclose(values, weights, atol=2.0**-24)
    return prepare


def _drf(body: Any) -> Prepared:
    from rest_framework.parsers import JSONParser  # noqa: PLC0415
    from rest_framework.request import Request  # noqa: PLC0415
    from rest_framework.test import APIRequestFactory  # noqa: PLC0415

    def prepare() -> Any:
        request = Request(APIRequestFactory().generic("POST", "/", body, "application/json"), parsers=[JSONParser()])
        return lambda: request.data

    return prepare
