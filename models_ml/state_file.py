"""Canonical files of a server optimiser's state; their SHA-256 is what blocks name.

A state file is safetensors holding one float64 vector a name, all as long as the model, and nothing else: no metadata,
names in byte order, no gaps, finite values. Same state, same bytes. Row i of `count` values begins
`len(header) + 8 * i * count` bytes into the file, so that it can be written and read in pieces.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import orjson

from models_ml.codec import ModelSchema, TensorSpec
from models_ml.errors import NotCanonicalState, SchemaMismatch

ITEM_BYTES = 8
Float64 = npt.NDArray[np.float64]


def header(names: Sequence[str], size: int) -> bytes:
    """Everything that a state file holds before its values.

    Args:
        names: of the vectors, in byte order.
        size: values in each.

    Raises:
        SchemaMismatch: no names, names twice or out of order, or a name or size outside the profile of model files.
    """
    schema = ModelSchema(tuple(TensorSpec(name, (size,)) for name in names))
    length = size * ITEM_BYTES
    entries = {
        tensor.name: {"dtype": "F64", "shape": [size], "data_offsets": [index * length, (index + 1) * length]}
        for index, tensor in enumerate(schema.tensors)
    }
    text = orjson.dumps(entries)
    text += b" " * (-len(text) % ITEM_BYTES)
    return struct.pack("<Q", len(text)) + text


def encode(names: Sequence[str], state: Float64) -> bytes:
    """The canonical file of a state.

    Args:
        names: S names in byte order.
        state: S x D float64, one row a name, in any memory layout and byte order.

    Raises:
        SchemaMismatch: another type or shape, or names as in `header`.
        NotCanonicalState: a value that is not finite.
    """
    if state.dtype.kind != "f" or state.dtype.itemsize != ITEM_BYTES or state.ndim != 2 or len(state) != len(names):
        raise SchemaMismatch(
            f"the state is {state.dtype} of shape {list(state.shape)}", expected=f"float64, {len(names)} rows"
        )
    head = header(names, state.shape[1])
    _require_finite(state)
    return head + np.ascontiguousarray(state, dtype="<f8").tobytes()


def decode(data: bytes, names: Sequence[str], size: int) -> Float64:
    """The state that a file holds: float64, one row a name (read-only).

    Raises:
        NotCanonicalState: a file of other names or another size, another spelling, or a value that is not finite.
        SchemaMismatch: as in `header`.
    """
    head = header(names, size)
    expected = len(head) + len(names) * size * ITEM_BYTES
    if len(data) != expected or not data.startswith(head):
        raise NotCanonicalState(
            f"{len(data)} bytes are no state file of {', '.join(names)} with {size} values each",
            expected=f"{expected} bytes as models_ml.state_file writes them",
        )
    state = np.frombuffer(data, dtype="<f8", offset=len(head)).reshape(len(names), size)
    _require_finite(state)
    return state.astype(np.float64, copy=False)


def _require_finite(state: Float64) -> None:
    if not np.isfinite(state).all():
        raise NotCanonicalState("the state holds NaN or an infinity", expected="finite values")
