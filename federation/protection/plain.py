"""No protection: the coordinator sees every update in the clear, and can therefore check and compare all of them.

What leaves an organisation is still only its update, signed by it; noise (if the round asks for it) was added there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from federation.errors import SubmissionDamaged
from models_ml import codec
from models_ml.codec import ModelSchema, Tensors
from models_ml.errors import NotCanonicalModel, SchemaMismatch


@dataclass(frozen=True)
class Plain:
    """Stores updates as canonical tensor files."""

    name: str = "plain"

    def check_combination(self, *, aggregation_method: str, participants: int) -> None:
        """Every aggregation works on clear updates."""

    def seal(self, delta: Tensors) -> bytes:
        return codec.encode(delta)

    def vectors(self, stored: Iterable[bytes], schema: ModelSchema) -> Iterator[NDArray[np.int32]]:
        for data in stored:
            try:
                tensors = codec.decode(data)
                codec.check_schema(tensors, schema)
            except (NotCanonicalModel, SchemaMismatch) as error:
                raise SubmissionDamaged(f"a stored update cannot be read: {error.detail}") from error
            yield codec.flatten(tensors)
