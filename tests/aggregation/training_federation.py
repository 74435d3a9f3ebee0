"""Organisations that train the edge classifier on generated records, some of them with flipped labels.

Training is the product's own (`models_ml.local_trainer`), seeds are fixed, records are few: a round of twenty
organisations takes about a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.engine import aggregate
from federation.aggregation.strategy import Strategy
from models_ml import metrics, registry
from models_ml.codec import Int32
from models_ml.edge_stream import concat
from models_ml.families import BENIGN, FAMILIES
from models_ml.features import extract
from models_ml.fixed_point import MAX_UPDATE_INT, add_update
from models_ml.local_trainer import LocalConfig, train
from models_ml.normalisation import moments, normalise
from models_ml.perceptron import Float32, logits, parameters_of, softmax
from models_ml.synthetic.generator import FAMILIES_OF, generate
from tests.aggregation.cohorts import cohort

ORGANIZATIONS = 20
ROUNDS = 6
_RECORDS = 600
_EVERY = 3  # of the training records every third: enough to learn from, and quick
_SCHEMA = registry.MODELS[registry.EDGE_CLASSIFIER].schema
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Records:
    """Normalised features (n, features) and families (n,)."""

    inputs: Float32
    labels: Labels


def updates(count: int, hostile: int, *, seed: int = 0, parent: Int32 | None = None) -> NDArray[np.int64]:
    """The updates (count x D, units of 2^-24) of one round of training; the first `hostile` flip their labels.

    Args:
        parent: the model's D integers; None for its starting point.
    """
    tensors = _tensors(_initial() if parent is None else parent)
    rows = []
    for index, records in enumerate(_training()[:count]):
        labels = flipped(records.labels) if index < hostile else records.labels
        delta = train(tensors, records.inputs, labels, LocalConfig(epochs=1, seed=1000 * seed + index)).delta
        rows.append(_flat(delta))
    return np.array(rows, dtype=np.int64)


def flipped(labels: Labels) -> Labels:
    """Every attack is called benign, everything benign a scan."""
    return np.where(labels == BENIGN, FAMILIES.index("Scan"), BENIGN).astype(labels.dtype)


def f1_after_training(strategy: Strategy, *, hostile: int, boost: int = 1, rounds: int = ROUNDS) -> float:
    """Macro-F1 (attack against benign) on test records of everybody, after rounds of the whole federation.

    Args:
        boost: by what the hostile multiply their updates.
    """
    model = _initial()
    state = None
    for number in range(rounds):
        submitted = updates(ORGANIZATIONS, hostile, seed=number, parent=model)
        submitted[:hostile] = (submitted[:hostile] * boost).clip(-MAX_UPDATE_INT, MAX_UPDATE_INT)
        combined = aggregate(strategy, cohort(list(submitted)), state)
        model, state = add_update(model, combined.update), list(combined.state)
    test = _test()
    probabilities = softmax(logits(parameters_of(_tensors(model)), test.inputs))
    return metrics.evaluate(probabilities, test.labels)["macro_binary_f1"]


@cache
def _records() -> tuple[tuple[Records, ...], Records]:
    """The organisations' training records and all test records in one, normalised by the moments of all training."""
    seeds = range(ORGANIZATIONS // len(FAMILIES_OF))
    parts = [part for seed in seeds for part in generate(seed, records=_RECORDS).values()]
    features = [extract(part.train) for part in parts]
    normaliser = moments(np.concatenate(features))
    every = slice(None, None, _EVERY)
    training = tuple(
        Records(normalise(own, normaliser)[every], part.train.family[every])
        for own, part in zip(features, parts, strict=True)
    )
    tests = np.concatenate([extract(part.test) for part in parts])
    return training, Records(normalise(tests, normaliser)[every], concat([part.test for part in parts]).family[every])


def _training() -> tuple[Records, ...]:
    return _records()[0]


def _test() -> Records:
    return _records()[1]


def _initial() -> Int32:
    return _flat(registry.MODELS[registry.EDGE_CLASSIFIER].initial())


def _flat(tensors: dict[str, Int32]) -> Int32:
    return np.concatenate([tensors[tensor.name].ravel() for tensor in _SCHEMA.tensors])


def _tensors(flat: Int32) -> dict[str, Int32]:
    ends = np.cumsum([tensor.size for tensor in _SCHEMA.tensors])[:-1]
    parts = np.split(flat, ends)
    return {tensor.name: part.reshape(tensor.shape) for tensor, part in zip(_SCHEMA.tensors, parts, strict=True)}
