from __future__ import annotations

import numpy as np
import pytest

from models_ml import registry
from models_ml.errors import OutOfRange, TooFewFlows
from models_ml.families import FAMILIES
from models_ml.features import FEATURES, extract
from models_ml.fixed_point import MAX_UPDATE, SCALE, add_update
from models_ml.local_trainer import LocalConfig, family_weights, train
from models_ml.perceptron import logits, parameters_of
from tests.models_ml.streams import two_families

PARENT = registry.MODELS["edge-classifier"].initial()
FLOWS = two_families(seed=7, count=400)
INPUTS = extract(FLOWS)


def norm(delta: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(array / SCALE).sum() for array in delta.values())))


def test_training_learns_to_tell_the_families_apart() -> None:
    result = train(PARENT, INPUTS, FLOWS.family, LocalConfig(epochs=5, seed=1))
    trained = {name: add_update(PARENT[name], result.delta[name]) for name in PARENT}
    guessed = logits(parameters_of(trained), INPUTS).argmax(axis=1)
    assert np.mean(guessed == FLOWS.family) > 0.98
    assert result.loss < 0.2
    assert result.steps == 5 * 13


def test_the_same_seed_gives_the_same_update() -> None:
    one, same, other = (train(PARENT, INPUTS, FLOWS.family, LocalConfig(seed=seed)).delta for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in PARENT)
    assert any((one[name] != other[name]).any() for name in PARENT)


def test_the_parent_is_left_as_it_was() -> None:
    before = {name: array.copy() for name, array in PARENT.items()}
    train(PARENT, INPUTS, FLOWS.family, LocalConfig())
    assert all((before[name] == PARENT[name]).all() for name in PARENT)


def test_the_proximal_term_keeps_the_update_short() -> None:
    lengths = [
        norm(train(PARENT, INPUTS, FLOWS.family, LocalConfig(epochs=3, proximal_mu=mu)).delta) for mu in (0, 1, 10)
    ]
    assert lengths[0] > 1.5 * lengths[1] > 2 * lengths[2]


def test_progress_reaches_the_end() -> None:
    calls: list[tuple[int, int]] = []
    train(PARENT, INPUTS, FLOWS.family, LocalConfig(epochs=2, batch_size=100), lambda *call: calls.append(call))
    assert calls == [(step, 8) for step in range(1, 9)]


def test_updates_stay_within_the_fixed_point_range() -> None:
    delta = train(PARENT, INPUTS, FLOWS.family, LocalConfig(learning_rate=50.0, epochs=1)).delta
    assert all(np.abs(array).max() <= MAX_UPDATE * SCALE for array in delta.values())


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_diverged_model_is_never_submitted() -> None:
    with pytest.raises(OutOfRange, match="finite"):
        train(PARENT, INPUTS * np.float32(np.inf), FLOWS.family, LocalConfig(epochs=1))


def test_without_records_there_is_no_training() -> None:
    with pytest.raises(TooFewFlows):
        train(PARENT, INPUTS[:0], FLOWS.family[:0], LocalConfig())


def test_family_weights_follow_the_effective_number() -> None:
    counts = {0: 5000, 1: 40, 4: 1}
    labels = np.concatenate([np.full(count, family) for family, count in counts.items()])
    weights = family_weights(labels)
    effective = {family: (1 - 0.999**count) / 0.001 for family, count in counts.items()}
    for family in counts:
        assert weights[family] / weights[0] == pytest.approx(effective[0] / effective[family], rel=1e-5)
    assert weights[labels].mean() == pytest.approx(1, rel=1e-5)
    assert set(np.flatnonzero(weights)) == set(counts)
    assert weights.shape == (len(FAMILIES),)


def test_a_single_family_weighs_one() -> None:
    assert family_weights(np.zeros(17, dtype=np.int8))[0] == pytest.approx(1)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": -1.0}, {"proximal_mu": -0.1}]
)
def test_settings_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="no training"):
        LocalConfig(**wrong)  # type: ignore[arg-type]


def test_the_configuration_of_a_round_is_read_in_parts_per_million() -> None:
    local = {
        "epochs": 3,
        "batch_size": 64,
        "learning_rate_ppm": 5_000,
        "proximal_ppm": 100_000,
        "normaliser_hash": None,
    }
    assert LocalConfig.from_round(local, seed=9) == LocalConfig(3, 64, 0.005, 0.1, 9)


def test_inputs_have_the_width_of_the_model() -> None:
    assert INPUTS.shape[1] == len(FEATURES) == PARENT["hidden1.weight"].shape[0]
