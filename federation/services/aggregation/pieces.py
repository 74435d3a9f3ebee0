"""What shards leave for each other: files in the round's scratch store.

They are derived from the submissions. One that is missing or damaged (a backup does not hold them) is no loss: the
round's shards start anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.models import AggregationShard, TrainingRound
from federation.services.aggregation.work import Part
from flxdr.core import canonical
from flxdr.platform.errors import BlobDamaged, BlobMissing
from flxdr.platform.storage.scratch import scratch
from models_ml.vector_file import FLOAT64, INT32, StoredVector

_CHUNK = 2**18


class PiecesLost(Exception):
    """A piece is not there any more, or is not what it was."""


def put_products(training_round: TrainingRound, products: NDArray[Any]) -> str:
    """Store inner products: the lower triangle, row by row, as decimal strings (they exceed JSON's integers)."""
    rows = [[str(value) for value in row[: index + 1]] for index, row in enumerate(products.tolist())]
    return scratch(training_round.round_id).put(canonical.encode(rows))


def products(training_round: TrainingRound, digest: str) -> NDArray[Any]:
    """The N x N Python integers that `put_products` stored.

    Raises:
        PiecesLost: they are gone.
    """
    rows = canonical.decode(_path(training_round, digest).read_bytes())
    matrix: NDArray[Any] = np.zeros((len(rows), len(rows)), dtype=object)
    for index, row in enumerate(rows):
        matrix[index, : index + 1] = matrix[: index + 1, index] = [int(value) for value in row]
    return matrix


def put_part(training_round: TrainingRound, part: Part) -> str:
    """Store a combined range: its int32 values, then each state vector's float64 values."""
    digest, _ = scratch(training_round.round_id).put_stream(_bytes_of(part), limit=part.nbytes)
    return digest


def part_of(shard: AggregationShard, state_count: int) -> Part:
    """The combined range of a shard, in its file.

    Raises:
        PiecesLost: it is gone.
    """
    size = shard.stop - shard.start
    update: StoredVector[Any] = StoredVector(_path(shard.training_round, shard.result_digest), 0, size, INT32)
    vectors = [update]
    for _ in range(state_count):
        vectors.append(vectors[-1].after(size, FLOAT64))
    return Part(shard.start, vectors[0], vectors[1:])


def _bytes_of(part: Part) -> Iterator[bytes]:
    for vector, dtype in ((part.update, INT32), *((vector, FLOAT64) for vector in part.state)):
        for start in range(0, vector.size, _CHUNK):
            yield vector[start : start + _CHUNK].astype(dtype, copy=False).tobytes()


def _path(training_round: TrainingRound, digest: str) -> Path:
    try:
        return scratch(training_round.round_id).verify(digest)
    except (BlobMissing, BlobDamaged) as error:
        raise PiecesLost(training_round.round_id) from error
