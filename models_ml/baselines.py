"""What a model reaches without a federation: the same training on one stream, rounds times, nobody else's updates.

On an organisation's own records this is the local-only row of a comparison; on all records together, the centralised
one that nobody may build in practice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from models_ml.codec import Int32
from models_ml.edge_stream import EdgeStream
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS
from models_ml.tasks import NO_BASIS, Basis, task_for


@dataclass(frozen=True)
class Baseline:
    """A classifier and what it builds on."""

    classifier: dict[str, Int32]
    basis: Basis

    def evaluate(self, stream: EdgeStream) -> dict[str, float]:
        """The classifier's figures on the labelled records of `stream`."""
        return task_for(EDGE_CLASSIFIER).evaluate(self.classifier, stream, basis=self.basis)


def train_alone(
    stream: EdgeStream, *, rounds: int, config: LocalConfig, progress: Callable[[int, int], None] | None = None
) -> Baseline:
    """Moments of `stream`, then `rounds` times the local training of a federated round, each from the last result.

    Args:
        progress: called with (rounds done, rounds in all).
    """
    basis = {EDGE_NORMALISER: _updated(EDGE_NORMALISER, MODELS[EDGE_NORMALISER].initial(), stream, config, NO_BASIS)}
    classifier = MODELS[EDGE_CLASSIFIER].initial()
    for done in range(rounds):
        seeded = replace(config, seed=config.seed + done)
        classifier = _updated(EDGE_CLASSIFIER, classifier, stream, seeded, basis)
        if progress is not None:
            progress(done + 1, rounds)
    return Baseline(classifier, basis)


def _updated(
    name: str,
    parent: dict[str, Int32],
    stream: EdgeStream,
    config: LocalConfig,
    basis: Basis,
) -> dict[str, Int32]:
    update = task_for(name).train(parent, stream, config, basis=basis)
    return {tensor: add_update(parent[tensor], delta) for tensor, delta in update.delta.items()}
