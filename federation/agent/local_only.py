"""Training without a federation: the yardstick that every organisation can make for itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from federation.agent.records import Records
from models_ml.codec import Int32
from models_ml.errors import TooFewFlows
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.registry import EDGE_NORMALISER, MODELS
from models_ml.tasks import Basis, task_for

Tensors = dict[str, Int32]


@dataclass(frozen=True)
class LocalModel:
    """A model trained on one organisation's records alone, with what it builds on."""

    tensors: Tensors
    basis: Basis
    samples: int
    metrics: dict[str, float]


def train_alone(
    model_name: str, records: Records, *, rounds: int, config: LocalConfig, progress: Progress | None = None
) -> LocalModel:
    """Train `rounds` times from where the last round ended, on the training records; evaluate on the later ones.

    Raises:
        UnknownModel: there is no task for that model.
        TooFewFlows: no record to train on.
    """
    task = task_for(model_name)
    tensors = MODELS[model_name].initial()
    basis = _own_basis(model_name, records, rounds=rounds, config=config)
    samples, metrics = 0, {}
    for number in range(rounds):
        shown = None if progress is None else _shifted(progress, number, rounds)
        own = LocalConfig(**{**vars(config), "seed": config.seed + number})
        update = task.train(tensors, records.training, own, basis=basis, progress=shown)
        tensors = {name: add_update(tensors[name], update.delta[name]) for name in tensors}
        samples, metrics = update.samples, dict(update.metrics)
    with suppress(TooFewFlows):  # no labelled record among the later ones: nothing to say
        metrics |= task.evaluate(tensors, records.validation, basis=basis)
    return LocalModel(tensors, basis, samples, metrics)


def _own_basis(model_name: str, records: Records, *, rounds: int, config: LocalConfig) -> Basis:
    """What the model builds on, from the organisation's own records; moments are exact after one round."""
    basis: dict[str, Tensors] = {}
    for name in MODELS[model_name].builds_on:
        once = 1 if name == EDGE_NORMALISER else rounds
        basis[name] = train_alone(name, records, rounds=once, config=config).tensors
    return basis


def _shifted(progress: Progress, number: int, rounds: int) -> Progress:
    return lambda done, total: progress(number * total + done, rounds * total)
