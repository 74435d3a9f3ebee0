from __future__ import annotations

import numpy as np
import pytest

from models_ml.bound_model import BoundModel
from models_ml.codec import check_schema, encode
from models_ml.dpsgd import RecordNoise
from models_ml.edge_stream import COLUMNS, EdgeStream, concat
from models_ml.errors import SchemaMismatch, TooFewFlows, UnknownModel
from models_ml.families import UNLABELLED
from models_ml.features import extract
from models_ml.fixed_point import add_update, dequantise
from models_ml.local_trainer import LocalConfig
from models_ml.metrics import attack_probability
from models_ml.normalisation import RECORD_NORM, moments
from models_ml.registry import MODELS
from models_ml.tasks import NO_BASIS, TASKS, task_for
from models_ml.validation import compare, hold_out
from privacy.dp.coins import SecretCoins
from tests.models_ml.streams import stream, two_families

FLOWS = two_families(seed=11, count=600)
NORMALISER = moments(extract(FLOWS))
BASIS = {"edge-normaliser": NORMALISER}
PARENT = MODELS["edge-classifier"].initial()


def trained(epochs: int = 4) -> dict[str, np.ndarray]:
    update = task_for("edge-classifier").train(PARENT, FLOWS, LocalConfig(epochs=epochs), basis=BASIS)
    return {name: add_update(PARENT[name], update.delta[name]) for name in PARENT}


NOISE = {
    "edge-normaliser": RecordNoise(clip=RECORD_NORM, noise_multiplier=1.0, sampling_ppm=1_000_000, steps=1),
    "edge-classifier": RecordNoise(clip=1.0, noise_multiplier=1.0, sampling_ppm=100_000, steps=30),
    "tgnn": RecordNoise(clip=1.0, noise_multiplier=1.0, sampling_ppm=100_000, steps=5),
}


@pytest.mark.parametrize("name", NOISE)
def test_private_updates_have_the_schema_and_measure_nothing_on_the_records(name: str) -> None:
    calls: list[tuple[int, int]] = []
    update = task_for(name).train_privately(
        MODELS[name].initial(),
        FLOWS,
        LocalConfig(learning_rate=0.1),
        noise=NOISE[name],
        coins=SecretCoins(),
        basis=BASIS if name == "edge-classifier" else NO_BASIS,
        progress=lambda *call: calls.append(call),
    )
    check_schema(update.delta, MODELS[name].schema)
    sessions = len(np.unique(np.column_stack((FLOWS.src, FLOWS.t // 600)), axis=0))
    assert update.samples == (sessions if name == "tgnn" else len(FLOWS))
    assert update.metrics == {}
    assert calls[-1] == (NOISE[name].steps, NOISE[name].steps)


def test_private_moments_are_near_the_exact_ones() -> None:
    parent = MODELS["edge-normaliser"].initial()
    update = task_for("edge-normaliser").train_privately(
        parent, FLOWS, LocalConfig(), noise=NOISE["edge-normaliser"], coins=SecretCoins()
    )
    for name, exact in NORMALISER.items():
        away = dequantise(add_update(parent[name], update.delta[name])) - dequantise(exact)
        assert 0 < np.abs(away).max() < 6 * RECORD_NORM / len(FLOWS)  # six deviations of the noise
    with pytest.raises(ValueError, match="once"):
        task_for("edge-normaliser").train_privately(
            parent, FLOWS, LocalConfig(), noise=NOISE["edge-classifier"], coins=SecretCoins()
        )


@pytest.mark.parametrize("name", NOISE)  # the policy builds on another model: tests/models_ml/response
def test_updates_have_the_schema_of_their_model(name: str) -> None:
    assert task_for(name).model_name == name
    calls: list[tuple[int, int]] = []
    update = task_for(name).train(
        MODELS[name].initial(), FLOWS, LocalConfig(), progress=lambda *call: calls.append(call)
    )
    check_schema(update.delta, MODELS[name].schema)
    assert update.samples == len(FLOWS)
    assert calls[-1][0] == calls[-1][1]
    assert encode(update.delta)


def test_the_default_model_has_no_task() -> None:
    with pytest.raises(UnknownModel, match="global"):
        task_for("global")


@pytest.mark.parametrize("name", TASKS)
def test_tensors_of_another_model_are_refused(name: str) -> None:
    task = task_for(name)
    for call in (
        lambda: task.train({"w": np.zeros(1, np.int32)}, FLOWS, LocalConfig()),
        lambda: task.evaluate({"w": np.zeros(1, np.int32)}, FLOWS),
    ):
        with pytest.raises(SchemaMismatch):
            call()


@pytest.mark.parametrize("name", TASKS)
def test_without_records_there_is_nothing_to_do(name: str) -> None:
    basis = {required: MODELS[required].initial() for required in MODELS[name].requires}
    with pytest.raises(TooFewFlows):
        task_for(name).train(MODELS[name].initial(), EdgeStream.empty(), LocalConfig(), basis=basis)
    with pytest.raises(TooFewFlows):
        task_for(name).evaluate(MODELS[name].initial(), EdgeStream.empty(), basis=basis)


def test_training_improves_the_figures_on_later_records() -> None:
    task = task_for("edge-classifier")
    later = two_families(seed=12, count=300)
    before = task.evaluate(PARENT, later, basis=BASIS)
    after = task.evaluate(trained(), later, basis=BASIS)
    assert after["macro_binary_f1"] > 0.97
    assert after["macro_binary_f1"] > before["macro_binary_f1"] + 0.2
    assert after[task.score_name] > before[task.score_name]


def test_unlabelled_records_take_no_part() -> None:
    unjudged = EdgeStream.from_columns(
        {name: getattr(FLOWS, name) for name in COLUMNS} | {"family": np.full(len(FLOWS), UNLABELLED)}
    )
    both = concat([FLOWS, unjudged])
    task = task_for("edge-classifier")
    assert task.train(PARENT, both, LocalConfig(epochs=1)).samples == len(FLOWS)
    assert task.evaluate(PARENT, both)["n"] == len(FLOWS)
    with pytest.raises(TooFewFlows):
        task.train(PARENT, unjudged, LocalConfig())


def test_reported_metrics_are_those_of_the_trained_model() -> None:
    update = task_for("edge-classifier").train(PARENT, FLOWS, LocalConfig(epochs=4), basis=BASIS)
    figures = task_for("edge-classifier").evaluate(trained(4), FLOWS, basis=BASIS)
    assert update.metrics["accuracy"] == pytest.approx(figures["accuracy"])
    assert update.metrics["loss"] > 0


def test_calibration_uses_benign_records_only() -> None:
    model = BoundModel("edge-classifier", trained(), BASIS)
    threshold = model.threshold(FLOWS)
    benign = FLOWS.family == 0
    scores = attack_probability(model.predict(FLOWS))
    assert 0 < threshold <= 0.5
    assert np.mean(scores[benign] >= threshold) <= 0.01
    assert model.threshold(EdgeStream.empty()) == 0.5
    assert model.threshold(FLOWS.select(~benign)) == 0.5


def test_records_are_held_out_at_the_end_of_each_capture() -> None:
    flows = stream(("a", "b"), t=[4, 3, 2, 1, 10, 20], capture=[0, 0, 0, 0, 1, 1], port=[4, 3, 2, 1, 5, 6])
    fit, held = hold_out(flows, 0.5)
    assert fit.port.tolist() == [1, 2, 5]
    assert held.port.tolist() == [3, 4, 6]


def test_a_release_is_compared_with_its_parent() -> None:
    task = task_for("edge-classifier")
    _, held = hold_out(FLOWS)
    better = compare(task, release=trained(), parent=PARENT, held=held, basis=BASIS)
    assert better.acceptable
    assert better.release_score > better.parent_score
    worse = compare(task, release=PARENT, parent=trained(), held=held, basis=BASIS)
    assert not worse.acceptable
    gap = worse.parent_score - worse.release_score
    for tolerance, acceptable in ((gap - 1e-6, False), (gap + 1e-6, True)):
        verdict = compare(task, release=PARENT, parent=trained(), held=held, basis=BASIS, tolerance=tolerance)
        assert verdict.acceptable is acceptable


def test_a_normaliser_that_cuts_off_the_features_scores_low() -> None:
    task = task_for("edge-normaliser")
    useless = {"mean": np.full_like(NORMALISER["mean"], 7 << 24), "second_moment": np.full_like(NORMALISER["mean"], 0)}
    assert task.evaluate(NORMALISER, FLOWS)[task.score_name] > 0.95
    assert task.evaluate(useless, FLOWS)[task.score_name] < 0.05


def test_the_normaliser_tells_no_families_apart() -> None:
    with pytest.raises(UnknownModel, match="edge-normaliser"):
        BoundModel("edge-normaliser", NORMALISER, NO_BASIS).predict(FLOWS)
