from __future__ import annotations

import numpy as np
import pytest

from models_ml.codec import check_schema
from models_ml.dpsgd import RecordNoise
from models_ml.edge_stream import concat
from models_ml.errors import BasisMissing, RecordNoiseNotOffered, TooFewFlows
from models_ml.families import UNLABELLED
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig
from models_ml.perceptron import parameters_of
from models_ml.registry import MODELS, TGNN
from models_ml.response import learner, training
from models_ml.response.actions import ACTIONS
from models_ml.response.alerts import STATE
from models_ml.response.judging import by_policy, by_watching, gain, play
from models_ml.response.policy import HEADS, SHAPES, forward, masked_softmax
from models_ml.response.replay import Replay, Transitions
from models_ml.response.task import RlPolicyTask
from models_ml.response.training import train
from privacy.dp.coins import SecretCoins
from tests.models_ml.response.banks import bank
from tests.models_ml.streams import stream, two_families

PARENT = MODELS["rl-policy"].initial()
FLOWS = two_families(seed=3, count=400)
BASIS = {TGNN: MODELS[TGNN].initial()}


def parameters(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: 0.3 * rng.standard_normal(shape) for name, shape in SHAPES.items()}


def transitions(seed: int, count: int) -> Transitions:
    rng = np.random.default_rng(seed)
    allowed, later = rng.random((2, count, len(ACTIONS))) < 0.6
    allowed[:, 0] = later[:, 0] = True
    return Transitions(
        states=rng.standard_normal((count, STATE), dtype=np.float32),
        allowed=allowed,
        actions=np.array([rng.choice(np.flatnonzero(row)) for row in allowed]),
        rewards=-rng.exponential(5, count).astype(np.float32),
        next_states=rng.standard_normal((count, STATE), dtype=np.float32),
        next_allowed=later,
        done=rng.random(count) < 0.3,
    )


@pytest.mark.parametrize("name", SHAPES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    weights, batch = parameters(0), transitions(1, 12)
    wanted = learner.targets(parameters(2), batch)
    *_, gradient = learner.losses(weights, batch, wanted)
    better = masked_softmax(forward(weights, batch.states).values / learner.ALPHA, batch.allowed)

    def loss() -> float:
        outputs = forward(weights, batch.states)
        errors = np.abs(outputs.values[np.arange(12), batch.actions] - wanted)
        small = np.minimum(errors, learner.MAX_ERROR)
        values = (small * errors - small**2 / 2).mean()
        logs = np.log(np.maximum(masked_softmax(outputs.logits, batch.allowed), 1e-300))
        return float(values - learner.POLICY_WEIGHT * (better * logs).sum(axis=1).mean())  # better stands still

    rng, step = np.random.default_rng(4), 1e-6
    for _ in range(12):
        place = tuple(rng.integers(size) for size in weights[name].shape)
        before = weights[name][place]
        weights[name][place] = before + step
        above = loss()
        weights[name][place] = before - step
        below = loss()
        weights[name][place] = before
        assert gradient[name][place] == pytest.approx((above - below) / (2 * step), rel=1e-4, abs=1e-8)


def test_targets_are_expected_values_under_the_masks() -> None:
    weights, batch = parameters(5), transitions(6, 20)
    outputs = forward(weights, batch.next_states)
    for row, wanted in enumerate(learner.targets(weights, batch)):
        free = np.flatnonzero(batch.next_allowed[row])
        powers = np.exp(outputs.logits[row, free])
        later = float(powers / powers.sum() @ outputs.values[row, free])
        assert wanted == pytest.approx(batch.rewards[row] / 10 + (0 if batch.done[row] else later))


def test_forbidden_actions_have_no_chance() -> None:
    chances = masked_softmax(np.array([[5.0, 900.0, -900.0]]), np.array([[True, False, True]]))
    np.testing.assert_array_equal(chances, [[1.0, 0.0, 0.0]])


def test_replay_keeps_the_newest() -> None:
    replay = Replay(10)
    with pytest.raises(ValueError, match="no transitions"):
        replay.sample(1, np.random.default_rng(0))
    first, second = transitions(0, 8), transitions(1, 8)
    replay.add(first)
    assert len(replay) == 8
    replay.add(second)
    kept = set(np.round(replay.sample(2000, np.random.default_rng(0)).rewards, 4))
    newest = np.concatenate((first.rewards[6:], second.rewards)).astype(np.float32)
    assert kept == set(np.round(newest, 4))
    with pytest.raises(ValueError, match="do not fit"):
        replay.add(transitions(2, 11))


def test_an_untrained_policy_watches() -> None:
    incidents = bank()
    untrained = play(incidents, by_policy(parameters_of(PARENT)), count=200, seed=1)
    np.testing.assert_array_equal(untrained.returns, play(incidents, by_watching, count=200, seed=1).returns)


def test_one_epoch_beats_watching_on_incidents_of_other_hosts() -> None:
    incidents = bank()
    calls: list[tuple[int, int]] = []
    config = LocalConfig(epochs=1, seed=3)
    result = train(PARENT, incidents, config, progress=lambda *call: calls.append(call))
    assert calls[-1][0] == calls[-1][1]
    trained = {name: add_update(PARENT[name], result.delta[name]) for name in PARENT}
    played = play(bank(seed=1), by_policy(parameters_of(trained)), count=2000, seed=9)
    assert played.normalised > 0.2
    assert gain(played, play(bank(seed=1), by_watching, count=2000, seed=9))[1] > 0


@pytest.mark.usefixtures("few_sweeps")
def test_training_is_repeatable_and_leaves_frozen_tensors_alone() -> None:
    one, other = (train(PARENT, bank(), LocalConfig(epochs=1, seed=4), frozen=HEADS) for _ in range(2))
    for name in PARENT:
        np.testing.assert_array_equal(one.delta[name], other.delta[name])
        assert name not in HEADS or not one.delta[name].any()


@pytest.fixture
def few_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an epoch, judged by fewer episodes: enough for what these tests ask."""
    for name, value in (("SWEEPS", 12), ("LANES", 200), ("JUDGED", 500), ("CONFIRMED", 1000)):
        monkeypatch.setattr(training, name, value)


@pytest.mark.usefixtures("few_sweeps")
def test_a_task_trains_and_evaluates_on_records_through_the_network() -> None:
    task = RlPolicyTask()
    update = task.train(PARENT, FLOWS, LocalConfig(epochs=1, batch_size=4), basis=BASIS)
    check_schema(update.delta, MODELS["rl-policy"].schema)
    assert 0 < update.samples < len(FLOWS)
    assert set(update.metrics) >= {"normalised_return", "playbook_return", "disruptive_per_benign"}
    figures = task.evaluate(PARENT, FLOWS, basis=BASIS)
    assert figures[task.score_name] == pytest.approx(0, abs=1e-12)  # an untrained policy watches
    assert figures == task.evaluate(PARENT, FLOWS, basis=BASIS)


def test_personal_heads_never_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    incidents = bank()
    monkeypatch.setattr("models_ml.response.task.labelled_incidents", lambda data, basis: incidents)
    task = RlPolicyTask(personal_heads=True)
    update = task.train(PARENT, FLOWS, LocalConfig(epochs=1, seed=3), basis=BASIS)
    assert not any(update.delta[name].any() for name in HEADS)
    assert update.delta["trunk1.weight"].any()
    assert any(task.heads[name].any() for name in HEADS)
    shared = {name: add_update(PARENT[name], delta) for name, delta in update.delta.items()}
    own = task.evaluate(shared, FLOWS, basis=BASIS)
    assert own["normalised_return"] > RlPolicyTask().evaluate(shared, FLOWS, basis=BASIS)["normalised_return"]
    kept = RlPolicyTask(personal_heads=True, heads=task.heads).evaluate(shared, FLOWS, basis=BASIS)
    assert kept == own


def test_what_a_task_cannot_do_is_said() -> None:
    task = RlPolicyTask()
    with pytest.raises(BasisMissing, match="tgnn"):
        task.evaluate(PARENT, FLOWS)
    with pytest.raises(TooFewFlows):
        task.evaluate(PARENT, concat([stream(t=[1.0, 2.0], family=UNLABELLED)]), basis=BASIS)
    noise = RecordNoise(clip=1.0, noise_multiplier=1.0, sampling_ppm=100_000, steps=3)
    with pytest.raises(RecordNoiseNotOffered):
        task.train_privately(PARENT, FLOWS, LocalConfig(), noise=noise, coins=SecretCoins(), basis=BASIS)
