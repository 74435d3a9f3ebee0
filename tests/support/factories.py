"""Received updates, as the API would hand them to the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from federation.services.received import FlatValues, NamedTensors, ReceivedUpdate
from flxdr.core.canonical import digest
from models_ml import codec

GUIDE_WEIGHTS = [[0.1, 0.2], [0.3, 0.4]]
GUIDE_METRICS = {"loss": 0.45, "accuracy": 0.92}


def json_update(
    round_id: str,
    org_id: str,
    values: Any = GUIDE_WEIGHTS,
    *,
    samples: int = 1024,
    metrics: Mapping[str, float] | None = None,
    kind: str = "weights",
    **fields: Any,
) -> ReceivedUpdate:
    """The guide's submission: nested lists of model units, unsigned."""
    array = np.asarray(values, dtype=np.float64)
    body = json.dumps({"round_id": round_id, "org_id": org_id, "values": array.tolist(), "samples": samples}).encode()
    document: dict[str, Any] = {
        "round_id": round_id,
        "org_id": org_id,
        "kind": kind,
        "payload": FlatValues(array),
        "samples": samples,
        "metrics": dict(GUIDE_METRICS if metrics is None else metrics),
        "wire_digest": digest(body),
        "body": body,
    }
    return ReceivedUpdate(**(document | fields))


def tensor_update(
    round_id: str,
    org_id: str,
    delta: Mapping[str, codec.Int32],
    *,
    samples: int = 1024,
    metrics: Mapping[str, float] | None = None,
    **fields: Any,
) -> ReceivedUpdate:
    """An agent's submission: the canonical tensor file of a delta, not signed yet."""
    body = codec.encode(delta)
    document: dict[str, Any] = {
        "round_id": round_id,
        "org_id": org_id,
        "kind": "delta",
        "payload": NamedTensors(codec.decode(body)),
        "samples": samples,
        "metrics": dict(GUIDE_METRICS if metrics is None else metrics),
        "wire_digest": digest(body),
        "body": body,
    }
    return ReceivedUpdate(**(document | fields))
