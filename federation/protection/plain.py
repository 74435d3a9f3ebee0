"""No protection: the coordinator sees every update in the clear, and can therefore check and compare all of them.

What leaves an organisation is still only its update, signed by it; noise (if the round asks for it) was added there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from federation.errors import SubmissionDamaged
from models_ml import codec
from models_ml.codec import ModelSchema, Tensors
from models_ml.errors import NotCanonicalModel
from models_ml.vector_file import StoredVector, open_vector


@dataclass(frozen=True)
class Plain:
    """Stores updates as canonical tensor files."""

    name: str = "plain"

    def check_combination(self, *, aggregation_method: str, participants: int) -> None:
        """Every aggregation works on clear updates."""

    def seal(self, delta: Tensors) -> bytes:
        return codec.encode(delta)

    def vectors(self, stored: Iterable[Path], schema: ModelSchema) -> Iterator[StoredVector[np.int32]]:
        for path in stored:
            try:
                yield open_vector(path, schema)
            except NotCanonicalModel as error:
                raise SubmissionDamaged(f"a stored update cannot be read: {error.detail}") from error
