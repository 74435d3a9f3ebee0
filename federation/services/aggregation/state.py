"""The optimiser state that a round starts from."""

from __future__ import annotations

from typing import Any

from federation.services.aggregation.inputs import Inputs
from flxdr.platform.storage.blobs import blobs
from models_ml import state_file
from models_ml.vector_file import FLOAT64, StoredVector, require_file


def state_before(inputs: Inputs) -> list[StoredVector[Any]] | None:
    """The vectors of the state file that the configuration names, in the order of the strategy's state names.

    None where the state starts anew.

    Raises:
        NotCanonicalState: the file is none of this strategy and model.
    """
    digest, names, size = inputs.config.optimizer_state_hash, inputs.strategy.state_names, inputs.schema.size
    if digest is None or not names:
        return None
    path, header = blobs().path(digest), state_file.header(names, size)
    require_file(path, header, state_file.ITEM_BYTES * len(names) * size)
    vectors = [StoredVector(path, len(header), size, FLOAT64)]
    while len(vectors) < len(names):
        vectors.append(vectors[-1].after(size, FLOAT64))
    return vectors
