"""What a model reaches without a federation: the same training on one stream, rounds times, nobody else's updates.

On an organisation's own records this is the local-only row of a comparison; on all records together, the centralised
one that nobody may build in practice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from models_ml.bound_model import BoundModel
from models_ml.edge_stream import EdgeStream
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.registry import EDGE_NORMALISER, MODELS
from models_ml.tasks import NO_BASIS, Basis, Tensors, task_for


@dataclass(frozen=True)
class Baseline(BoundModel):
    """A model trained on one stream alone, and what it builds on, trained on the same.

    Attributes:
        samples, metrics: of its last round of training (`LocalUpdate`).
    """

    samples: int
    metrics: dict[str, float]


def train_alone(
    stream: EdgeStream, model_name: str, *, rounds: int, config: LocalConfig, progress: Progress | None = None
) -> Baseline:
    """What the model builds on first, then `rounds` times the local training of a round, each from the last result.

    Raises:
        UnknownModel: there is no task for that model.
        TooFewFlows: no record to train on.
    """
    task_for(model_name)
    basis: dict[str, Tensors] = {}
    for name in MODELS[model_name].builds_on:
        once = 1 if name == EDGE_NORMALISER else rounds  # moments are exact after one round
        basis[name] = _trained(name, stream, basis, rounds=once, config=config, progress=None).tensors
    return _trained(model_name, stream, basis, rounds=rounds, config=config, progress=progress)


def _trained(
    name: str, stream: EdgeStream, basis: Basis, *, rounds: int, config: LocalConfig, progress: Progress | None
) -> Baseline:
    task = task_for(name)
    own = {wanted: basis[wanted] for wanted in MODELS[name].builds_on if wanted in basis} or NO_BASIS
    model = Baseline(name, MODELS[name].initial(), own, samples=0, metrics={})
    for number in range(rounds):
        shown = None if progress is None else _shifted(progress, number, rounds)
        seeded = replace(config, seed=config.seed + number)
        update = task.train(model.tensors, stream, seeded, basis=own, progress=shown)
        tensors = {tensor: add_update(model.tensors[tensor], delta) for tensor, delta in update.delta.items()}
        model = Baseline(name, tensors, own, update.samples, dict(update.metrics))
    return model


def _shifted(progress: Progress, number: int, rounds: int) -> Progress:
    return lambda done, total: progress(number * total + done, rounds * total)
