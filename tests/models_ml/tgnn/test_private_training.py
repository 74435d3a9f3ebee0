"""Sessions as examples: alone in the world, clipped by norms that are exact, and summed as integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models_ml.dpsgd import UNITS, RecordNoise
from models_ml.edge_stream import EdgeStream, concat
from models_ml.errors import OutOfRange, TooFewFlows
from models_ml.families import UNLABELLED
from models_ml.local_trainer import LocalConfig
from models_ml.perceptron import parameters_of
from models_ml.tgnn import private_training
from models_ml.tgnn.inputs import inputs_of
from models_ml.tgnn.losses import loss_and_gradient
from models_ml.tgnn.network import Batch, cross_entropy, forward
from models_ml.tgnn.private_training import backward, clipped_sum, squared_norms, train_privately
from models_ml.tgnn.sessions import MAX_FLOWS, SECONDS, sessions_of
from privacy.dp.coins import SecretCoins
from tests.models_ml.streams import stream
from tests.models_ml.tgnn.networks import busy_network, initial_model

DATA = busy_network(0, 300, hosts=8, seconds=3000)
EXACT = {name: array.astype(np.float64) for name, array in parameters_of(initial_model()).items()}


def test_a_session_is_a_source_in_a_bin_of_time_and_no_longer_than_a_bound() -> None:
    sessions = sessions_of(DATA)

    cells, counts = np.unique(np.column_stack((DATA.src, DATA.t // SECONDS)), axis=0, return_counts=True)
    assert len(sessions) == len(cells)
    assert sorted(sessions.count) == sorted(np.minimum(counts, MAX_FLOWS))
    flood = sessions_of(stream(t=np.linspace(0, 599, 500), src=1, dst=np.arange(500)))
    assert flood.count.tolist() == [MAX_FLOWS]


def test_a_session_is_the_same_whatever_else_there_is() -> None:
    one = DATA.select((DATA.src == 3) & (DATA.t < SECONDS))
    alone = sessions_of(one)

    everything = sessions_of(DATA)

    found = [
        index
        for index in range(len(everything))
        if np.array_equal(
            everything.inputs.edges[everything.first[index] : everything.first[index] + everything.count[index]],
            alone.inputs.edges,
        )
    ]
    assert len(found) == 1
    (block,) = alone.blocks(np.array([0]))
    (same,) = everything.blocks(np.array(found))
    np.testing.assert_array_equal(block.nodes, same.nodes)
    np.testing.assert_array_equal(block.share, same.share)


def test_one_session_more_moves_the_sum_by_one_clipped_gradient() -> None:
    other = stream(t=[50.0, 51.0, 52.0], src=99, dst=[1, 2, 3], family=3)
    without, with_it = sessions_of(DATA), sessions_of(concat([DATA, other]))
    clip = 0.05

    sums = [clipped_sum(EXACT, sessions, np.arange(len(sessions)), clip) for sessions in (without, with_it)]

    moved = np.sqrt(sum(float(np.square(sums[1][name] - sums[0][name]).sum()) for name in sums[0]))
    assert len(with_it) == len(without) + 1
    assert moved == pytest.approx(UNITS, rel=1e-3), "the gradient is longer than the norm that it is clipped to"


def test_norms_by_inner_products_are_those_of_the_gradients() -> None:
    sessions = sessions_of(DATA)
    rng = np.random.default_rng(0)
    for block in sessions.blocks(np.arange(len(sessions))):
        for inputs, errors in backward(EXACT, block).values():
            gradients = np.einsum("sri,sro->sio", inputs, errors)
            expected = np.square(gradients).sum(axis=(1, 2)) + np.square(errors.sum(axis=1)).sum(axis=1)
            np.testing.assert_allclose(squared_norms(inputs, errors), expected, rtol=1e-9)
    for rows in (1, 500):  # inner products are cheaper for the first, the gradients for the second
        inputs, errors = rng.normal(size=(3, rows, 20)), rng.normal(size=(3, rows, 30))
        expected = np.square(np.einsum("sri,sro->sio", inputs, errors)).sum(axis=(1, 2))
        expected += np.square(errors.sum(axis=1)).sum(axis=1)
        np.testing.assert_allclose(squared_norms(inputs, errors), expected, rtol=1e-9)


def test_without_clipping_the_sum_is_the_gradient_of_the_plain_network() -> None:
    """A session of two flows to different hosts: the second looks back at the first and at its destination."""
    pair = stream(t=[0.0, 30.0], src=1, dst=[2, 3], port=[80, 22], family=[0, 3])
    inputs = inputs_of(pair)
    nodes = np.zeros((8, inputs.nodes.shape[1]))
    nodes[:4] = inputs.nodes
    nodes[6] = inputs.nodes[1]  # told to the source of the second flow: what the first one's destination was
    batch = Batch(edges=inputs.edges.astype(np.float64), nodes=nodes, share=np.array([0.0, 0.0, 1.0, 0.0]))
    _, expected = loss_and_gradient(EXACT, batch, pair.family, np.array([0.5, 0.5]))
    clip = 1e4

    total = clipped_sum(EXACT, sessions_of(pair), np.array([0]), clip)

    for name, array in expected.items():
        np.testing.assert_allclose(total[name] * clip / UNITS, array, atol=clip / UNITS)


def test_unlabelled_flows_are_the_past_of_a_session_and_not_its_loss() -> None:
    flows = stream(t=[0.0, 10.0, 700.0], src=1, dst=[2, 3, 4], family=[UNLABELLED, 3, UNLABELLED])
    sessions = sessions_of(flows)

    (block,) = sessions.blocks(np.arange(len(sessions)))

    assert len(sessions) == 1, "nobody judged the second bin"
    assert block.weights.tolist() == [[0.0, 1.0]]
    assert block.share[0, 2].tolist() == [0.0, 1.0, 0.0, 0.0]
    with pytest.raises(TooFewFlows):
        sessions_of(EdgeStream.empty())
    with pytest.raises(TooFewFlows):
        sessions_of(replace(flows, family=np.full(3, UNLABELLED, dtype=np.int8)))


def test_a_step_that_draws_too_many_sessions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_training, "MAX_DRAWN", 3)
    with pytest.raises(OutOfRange, match="drew 4 sessions"):
        clipped_sum(EXACT, sessions_of(DATA), np.arange(4), 1.0)


def test_private_training_learns_and_noise_hides_what() -> None:
    rng = np.random.default_rng(1)
    probing = rng.random(100) < 0.5
    flows = stream(
        t=np.arange(100) * SECONDS,
        src=rng.integers(0, 20, 100),
        dst=100,
        bytes_in=np.where(probing, 0, 900),
        state=np.where(probing, 0, 2),
        family=np.where(probing, 3, 0),
    )
    sessions, config = sessions_of(flows), LocalConfig(learning_rate=0.3, proximal_mu=0.0)

    def loss_after(noise_multiplier: float) -> float:
        noise = RecordNoise(clip=1.0, noise_multiplier=noise_multiplier, sampling_ppm=200_000, steps=10)
        delta = train_privately(initial_model(), sessions, config, noise=noise, coins=SecretCoins())
        parent = initial_model()
        trained = {name: (parent[name] + delta[name]) / 2.0**24 for name in parent}
        inputs = sessions.inputs
        batch = Batch(inputs.edges, np.concatenate((inputs.nodes, inputs.nodes)), np.zeros(2 * len(inputs)))
        weights = np.full(len(inputs), 1 / len(inputs))
        return cross_entropy(forward(trained, batch).logits, sessions.labels, weights)[0]

    assert loss_after(0.01) < 0.4
    assert loss_after(50.0) > 2 * loss_after(0.01)
