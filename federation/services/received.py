"""An update as it arrived, parsed and not yet checked: what the API hands to the submission service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class FlatValues:
    """One unnamed array: JSON lists, base64 `data`, or a raw octet stream.

    It is the model's only tensor (then its shape must be that tensor's), or all tensors flattened one after the other
    in the order of their names (then it is one-dimensional).
    """

    values: NDArray[Any]


@dataclass(frozen=True)
class NamedTensors:
    """Named arrays of a safetensors file."""

    tensors: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class MaskedValues:
    """A masked update: words that mean nothing without the round's other ones; they are the body."""


@dataclass(frozen=True)
class ReceivedUpdate:
    """A parsed submission.

    Floating-point arrays are in model units and get quantised; int32 arrays are fixed point (2^-24) already. Other
    dtypes are refused.

    Args:
        kind: `weights` (the whole model), `delta` (its difference to the parent), or `masked`.
        payload: the arrays.
        wire_digest: SHA-256 (hex) of `body`.
        body: the request body as received.
        statement: canonical statement bytes; None where none was sent (allowed for JSON only).
        signature: over the statement; None where none was sent.
        key_id: the key that the signature names.
        roster_hash: of the roster for which a masked update was masked.
    """

    round_id: str
    org_id: str
    kind: str
    payload: FlatValues | NamedTensors | MaskedValues
    samples: int
    metrics: Mapping[str, float]
    wire_digest: str
    body: bytes
    privacy: Mapping[str, Any] = field(default_factory=lambda: {"mechanism": "none"})
    statement: bytes | None = None
    signature: bytes | None = None
    key_id: str | None = None
    roster_hash: str | None = None
