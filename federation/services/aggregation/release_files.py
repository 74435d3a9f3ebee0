"""The files of a candidate: its model and its optimiser state, streamed from the combined ranges to the disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from federation.services.aggregation.inputs import Inputs
from federation.services.aggregation.work import Part
from flxdr.platform.storage.blobs import blobs
from models_ml import codec, state_file
from models_ml.errors import OutOfRange
from models_ml.fixed_point import add_update, dequantise
from models_ml.vector_file import FLOAT64, INT32, open_vector

_CHUNK = 2**18


@dataclass(frozen=True)
class ReleaseFiles:
    """What was stored of a candidate.

    Attributes:
        update_norm: L2 norm of the combined update, in model units.
        state_digest: None where the strategy keeps no state.
    """

    model_hash: str
    blob_digest: str
    state_digest: str | None
    update_norm: float


def write(inputs: Inputs, parts: Sequence[Part], renew: Callable[[], None]) -> ReleaseFiles:
    """Store the parent model plus the update, and the state after it.

    Args:
        parts: every coordinate once, in order.
        renew: called between portions.

    Raises:
        OutOfRange: a value of the new model leaves the fixed-point range, or one of the state is not finite.
        BlobDamaged, BlobMissing: the parent's file is not what it was.
    """
    model = ModelStream(inputs, parts, renew)
    limit = len(codec.header(inputs.schema)) + INT32.itemsize * inputs.schema.size
    blob_digest, _ = blobs().put_stream(model, limit)
    return ReleaseFiles(
        model_hash=model.hasher.hexdigest(),
        blob_digest=blob_digest,
        state_digest=_write_state(inputs, parts, renew),
        update_norm=model.norm,
    )


class ModelStream:
    """The bytes of the new model's file, once; hash and norm are complete when they are."""

    def __init__(self, inputs: Inputs, parts: Sequence[Part], renew: Callable[[], None]) -> None:
        self.hasher = codec.model_hasher()
        self.norm = 0.0
        self._inputs, self._parts, self._renew = inputs, parts, renew

    def __iter__(self) -> Iterator[bytes]:
        for data in self._file():
            self.hasher.update(data)
            yield data

    def _file(self) -> Iterator[bytes]:
        yield codec.header(self._inputs.schema)
        parent = open_vector(blobs().verify(self._inputs.parent.blob_digest), self._inputs.schema)
        for part in self._parts:
            for span in _chunks(part.update):
                update = part.update[span]
                self.norm = math.hypot(self.norm, float(np.linalg.norm(dequantise(update))))
                before = parent[part.start + span.start : part.start + span.stop]
                yield add_update(before, update).astype(INT32, copy=False).tobytes()
            self._renew()


def state_stream(inputs: Inputs, parts: Sequence[Part], renew: Callable[[], None]) -> Iterator[bytes] | None:
    """The bytes of the file of the optimiser's state; None where the strategy keeps none.

    Raises:
        OutOfRange: while it is read: a value is not finite.
    """
    names = inputs.strategy.state_names
    if not names:
        return None
    values = (_values_of(parts, index, name, renew) for index, name in enumerate(names))
    return chain([state_file.header(names, inputs.schema.size)], chain.from_iterable(values))


def _values_of(parts: Sequence[Part], index: int, name: str, renew: Callable[[], None]) -> Iterator[bytes]:
    for part in parts:
        vector = part.state[index]
        for span in _chunks(vector):
            values = np.asarray(vector[span], dtype=FLOAT64)
            if not np.isfinite(values).all():
                raise OutOfRange(f"the optimiser's {name} holds a value that is not finite")
            yield values.tobytes()
        renew()


def _write_state(inputs: Inputs, parts: Sequence[Part], renew: Callable[[], None]) -> str | None:
    state = state_stream(inputs, parts, renew)
    if state is None:
        return None
    names, size = inputs.strategy.state_names, inputs.schema.size
    digest, _ = blobs().put_stream(state, len(state_file.header(names, size)) + FLOAT64.itemsize * len(names) * size)
    return digest


def _chunks(vector: Any) -> Iterator[slice]:
    for start in range(0, vector.size, _CHUNK):
        yield slice(start, min(start + _CHUNK, vector.size))
