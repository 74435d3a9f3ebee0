"""Local-only against federated against centralised, all on the same test and by the same rules.

The test is the test records of all organisations together. Nothing is chosen by looking at it: thresholds come from
the last part of the training records, which no model is trained on (`validation.hold_out`). An organisation on its own
meets the whole test with its own model and threshold; a shared model meets each organisation's part of the test with
that organisation's threshold, as it would be deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml import metrics
from models_ml.baselines import train_alone
from models_ml.bound_model import BoundModel
from models_ml.edge_stream import concat
from models_ml.local_trainer import LocalConfig
from models_ml.partitions import Partition
from models_ml.perceptron import Float32
from models_ml.validation import hold_out

Partitions = Mapping[str, Partition]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        kind: `local`, `federated` or `centralised`.
        organization: whose model it is, for local rows.
        figures: `metrics.evaluate` on the whole test, and `macro_binary_f1_known`: the same without the families that
            are in no organisation's training records.
    """

    kind: str
    organization: str
    figures: dict[str, float]


def local_only(
    partitions: Partitions,
    model_name: str,
    *,
    rounds: int,
    config: LocalConfig,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Every organisation trains on its own records as long as the federation did, and meets the whole test.

    Args:
        progress: called with the name of each organisation that is done.
    """
    rows = []
    for name, partition in partitions.items():
        fit, held = hold_out(partition.train)
        model = train_alone(fit, model_name, rounds=rounds, config=config)
        thresholds = dict.fromkeys(partitions, model.threshold(held))
        rows.append(Row("local", name, _figures(partitions, model, thresholds)))
        if progress is not None:
            progress(name)
    return rows


def centralised(partitions: Partitions, model_name: str, *, rounds: int, config: LocalConfig) -> Row:
    """One model on all training records together, which nobody may collect in practice."""
    pooled = concat([hold_out(partition.train)[0] for partition in partitions.values()])
    return Row("centralised", "", _deployed(partitions, train_alone(pooled, model_name, rounds=rounds, config=config)))


def federated(partitions: Partitions, model: BoundModel) -> Row:
    """A released model, deployed at every organisation."""
    return Row("federated", "", _deployed(partitions, model))


def mean_figures(rows: Sequence[Row]) -> dict[str, float]:
    """Mean over rows of every figure that all of them have."""
    shared = set.intersection(*(set(row.figures) for row in rows))
    return {name: float(np.mean([row.figures[name] for row in rows])) for name in sorted(shared)}


def _deployed(partitions: Partitions, model: BoundModel) -> dict[str, float]:
    thresholds = {name: model.threshold(hold_out(partition.train)[1]) for name, partition in partitions.items()}
    return _figures(partitions, model, thresholds)


def _figures(partitions: Partitions, model: BoundModel, thresholds: Mapping[str, float]) -> dict[str, float]:
    tests = [partition.test for partition in partitions.values()]
    probabilities = np.concatenate([model.predict(test) for test in tests])
    labels = np.concatenate([test.family for test in tests])
    threshold = np.concatenate([np.full(len(part.test), thresholds[name]) for name, part in partitions.items()])
    figures = metrics.evaluate(probabilities, labels, threshold)
    known = np.isin(labels, np.concatenate([partition.train.family for partition in partitions.values()]))
    return figures | {"macro_binary_f1_known": _macro_f1(probabilities[known], labels[known], threshold[known])}


def _macro_f1(probabilities: Float32, labels: npt.NDArray[np.int8], threshold: npt.NDArray[Any]) -> float:
    return metrics.evaluate(probabilities, labels, threshold)["macro_binary_f1"]
