"""An organisation's own check of a release: is it worse than its parent on records that training did not see?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models_ml.codec import Int32
from models_ml.edge_stream import EdgeStream, concat
from models_ml.tasks import Basis, LocalTask

VALIDATION_FRACTION = 0.15
TOLERANCE = 0.1
"""How far a release may score below its parent. On real data one round moved an organisation by up to 0.06."""

Tensors = Mapping[str, Int32]


@dataclass(frozen=True)
class Comparison:
    """Scores of a release and of its parent on the same records; higher is better."""

    score_name: str
    parent_score: float
    release_score: float
    acceptable: bool


def hold_out(stream: EdgeStream, fraction: float = VALIDATION_FRACTION) -> tuple[EdgeStream, EdgeStream]:
    """(records to train on, records to validate on): of each capture the last `fraction` in order of time."""
    halves = [stream.of_capture(name).split_by_count(1 - fraction) for name in stream.captures]
    return concat([earlier for earlier, _ in halves]), concat([later for _, later in halves])


def compare(
    task: LocalTask,
    *,
    release: Tensors,
    parent: Tensors,
    held: EdgeStream,
    basis: Basis,
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Score both on `held`; the release is acceptable if it is at most `tolerance` below its parent.

    Raises:
        TooFewFlows: `held` has no record to judge by.
    """
    before = task.evaluate(parent, held, basis=basis)[task.score_name]
    after = task.evaluate(release, held, basis=basis)[task.score_name]
    return Comparison(task.score_name, before, after, acceptable=after >= before - tolerance)
