"""Outlier exposure: what is made up, and what it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models_ml.edge_stream import STATES
from models_ml.families import BENIGN, FAMILIES
from models_ml.features import extract
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig
from models_ml.metrics import attack_probability, auc
from models_ml.normalisation import moments
from models_ml.perceptron import softmax
from models_ml.registry import MODELS
from models_ml.tgnn import exposure
from models_ml.tgnn.network import Batch
from models_ml.tgnn.task import TgnnTask
from tests.models_ml.streams import two_families


def batch(edges: int) -> Batch:
    return Batch(
        edges=np.zeros((edges, 30), dtype=np.float32),
        nodes=np.zeros((2 * edges * 5, 40), dtype=np.float32),
        share=np.ones(2 * edges, dtype=np.float32),
    )


def test_only_the_last_examples_are_disturbed_and_within_the_inputs_range() -> None:
    made = batch(12)
    exposure.disturb(made, 4, np.random.default_rng(1))
    assert not made.edges[:8].any()
    assert not made.nodes[:16].any()
    assert not made.nodes[24:].any()  # their neighbours are what they were
    for changed in (made.edges[8:], made.nodes[16:24]):
        assert 0.1 < np.mean(changed != 0) < 0.3
        assert np.abs(changed).max() <= 6


@pytest.mark.parametrize(("real", "expected"), [(1, 1), (8, 1), (9, 2), (256, 32)])
def test_one_is_made_up_for_eight(real: int, expected: int) -> None:
    assert exposure.made_up(real) == expected


def test_derivatives_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(3, len(FAMILIES)))

    def loss(values: np.ndarray) -> float:
        return -exposure.WEIGHT * float(np.mean(np.log(softmax(values)) @ exposure.TARGET.astype(np.float64)))

    step = 1e-6
    found = exposure.derivatives(softmax(logits).astype(np.float32))
    for place in np.ndindex(logits.shape):
        moved = logits.copy()
        moved[place] += step
        assert (loss(moved) - loss(logits)) / step == pytest.approx(found[place], abs=1e-5)
    assert exposure.TARGET[BENIGN] == 0
    assert exposure.TARGET.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_flood_that_nobody_trained_on_ranks_above_benign_flows(seed: int) -> None:
    """Without the made-up examples some seeds rank it below: the network extrapolates either way."""
    known, later = two_families(seed=3, count=1500), two_families(seed=4, count=400).labelled()
    benign = later.select(later.family == BENIGN)
    flood = replace(
        benign.select(np.zeros(300, dtype=np.int64)),
        t=benign.t[0] + np.arange(300) / 100,
        state=np.full(300, STATES.index("OTH"), dtype=np.int8),
        duration=np.full(300, np.nan),
        bytes_out=np.zeros(300, dtype=np.int64),
        bytes_in=np.zeros(300, dtype=np.int64),
        packets=np.ones(300, dtype=np.int64),
    )
    task, parent = TgnnTask(), MODELS["tgnn"].initial()
    basis = {"edge-normaliser": moments(extract(known))}
    update = task.train(parent, known, LocalConfig(epochs=4, batch_size=64, seed=seed), basis=basis)
    model = {name: add_update(parent[name], delta) for name, delta in update.delta.items()}
    scores = [
        attack_probability(task.predict(model, stream, basis=basis))
        for stream in (benign, flood.select(slice(20, None)))
    ]
    attack = np.concatenate([np.full(len(each), kind) for kind, each in enumerate(scores)]).astype(bool)
    assert auc(np.concatenate(scores), attack) > 0.95
