"""Training without a federation: the yardstick that every organisation can make for itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from federation.agent.records import Records
from models_ml import baselines
from models_ml.baselines import Baseline
from models_ml.errors import TooFewFlows
from models_ml.local_trainer import LocalConfig, Progress


def train_alone(
    model_name: str, records: Records, *, rounds: int, config: LocalConfig, progress: Progress | None = None
) -> Baseline:
    """Train `rounds` times from where the last round ended, on the training records; evaluate on the later ones.

    Raises:
        UnknownModel: there is no task for that model.
        TooFewFlows: no record to train on.
    """
    model = baselines.train_alone(records.training, model_name, rounds=rounds, config=config, progress=progress)
    metrics = dict(model.metrics)
    with suppress(TooFewFlows):  # no labelled record among the later ones: nothing to say
        metrics |= model.evaluate(records.validation)
    return replace(model, metrics=metrics)
