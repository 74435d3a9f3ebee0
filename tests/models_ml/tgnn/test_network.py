"""Gradients by hand against finite differences and automatic differentiation, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import numpy.typing as npt
import pytest

from models_ml.families import FAMILIES
from models_ml.perceptron import parameters_of
from models_ml.tgnn.inputs import MEMORY, inputs_of
from models_ml.tgnn.losses import loss_and_gradient
from models_ml.tgnn.network import (
    BOUND,
    EMBEDDING,
    SAGE1,
    Batch,
    embedding_of,
    forward,
    probabilities_of,
    sage1_of,
)
from models_ml.tgnn.sampling import batch_of
from tests.models_ml.tgnn.networks import busy_network, initial_model

Float64 = npt.NDArray[np.float64]
Parameters = dict[str, Float64]

ROWS = np.array([3, 17, 40, 41, 79])
LABELS = np.array([0, 3, 1, 8, 3])
WEIGHTS = np.array([0.5, 1.0, 2.0, 0.1, 1.4])


def exact_batch(rows: npt.NDArray[np.int64] = ROWS) -> Batch:
    batch = batch_of(inputs_of(busy_network(0, 80)), rows, np.random.default_rng(1))
    assert (batch.share == 0).any(), "some hosts are forgotten"
    assert (batch.share > 0).any()
    return Batch(*(np.asarray(part, dtype=np.float64) for part in (batch.edges, batch.nodes, batch.share)))


def exact_parameters() -> Parameters:
    """The starting point with biases that are not zero."""
    rng = np.random.default_rng(2)
    return {
        name: array.astype(np.float64) + (rng.normal(0, 0.1, array.shape) if array.ndim == 1 else 0)
        for name, array in parameters_of(initial_model()).items()
    }


def by_hand(parameters: Parameters, batch: Batch) -> Mapping[str, Float64]:
    loss, gradient = loss_and_gradient(parameters, batch, LABELS, WEIGHTS)
    assert loss == pytest.approx(float(prediction_loss(parameters, batch, flow_of(parameters, batch, np), np)))
    return gradient


def layer(parameters: Any, name: str, inputs: Any) -> Any:
    return inputs @ parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def cross_entropy_of(logits: Any, numpy: Any) -> Any:
    shifted = logits - numpy.max(logits, axis=1, keepdims=True)
    log_probabilities = shifted - numpy.log(numpy.sum(numpy.exp(shifted), axis=1, keepdims=True))
    return -numpy.sum(WEIGHTS * log_probabilities[np.arange(len(LABELS)), LABELS])


def flow_of(parameters: Any, batch: Batch, numpy: Any = anp) -> Any:
    hidden1 = numpy.maximum(layer(parameters, "hidden1", batch.edges), 0)
    return layer(parameters, "output", numpy.maximum(layer(parameters, "hidden2", hidden1), 0))


def prediction_loss(parameters: Any, batch: Batch, flow: Any, numpy: Any = anp) -> Any:
    """The loss written anew, from the formulas in the network's docstring, with the flow's part given."""
    own = batch.own
    sage1 = numpy.maximum(layer(parameters, "sage1", batch.nodes), 0)
    told = numpy.reshape(sage1[own:], (own, -1, SAGE1)).sum(axis=1) * batch.share[:, None]
    around = numpy.concatenate((sage1[:own], told, batch.nodes[:own, MEMORY:]), axis=1)
    embedding = numpy.maximum(layer(parameters, "sage2", around), 0)
    joined = numpy.concatenate((numpy.reshape(embedding, (own // 2, 2 * EMBEDDING)), batch.edges), axis=1)
    correction = layer(parameters, "correction", numpy.maximum(layer(parameters, "context", joined), 0))
    return cross_entropy_of(flow + BOUND * numpy.tanh(correction / BOUND), numpy)


def both_losses(parameters: Any, batch: Batch, flow: Any, numpy: Any = anp) -> Any:
    """What is descended: the prediction's loss with the flow's part held fixed, and the flow's own."""
    own_loss = cross_entropy_of(flow_of(parameters, batch, numpy), numpy)
    return prediction_loss(parameters, batch, flow, numpy) + own_loss


def test_gradients_are_those_of_automatic_differentiation() -> None:
    parameters, batch = exact_parameters(), exact_batch()
    flow = flow_of(parameters, batch, np)
    gradient: Callable[[Parameters], Parameters] = autograd.grad(lambda values: both_losses(values, batch, flow))

    expected, found = gradient(parameters), by_hand(parameters, batch)

    for name, array in expected.items():
        assert np.abs(array).max() > 0, f"{name} is in use"
        np.testing.assert_allclose(found[name], array, atol=1e-9 * np.abs(array).max(), rtol=1e-6)


def test_gradients_are_those_of_finite_differences() -> None:
    parameters, batch = exact_parameters(), exact_batch()
    found, flow = by_hand(parameters, batch), flow_of(parameters, batch, np)
    rng = np.random.default_rng(3)
    step = 1e-6

    for name, array in parameters.items():
        scale = np.abs(found[name]).max()
        for flat in rng.integers(0, array.size, 12):
            place = np.unravel_index(flat, array.shape)
            kept, losses = array[place], []
            for sign in (1, -1):
                array[place] = kept + sign * step
                losses.append(both_losses(parameters, batch, flow, np))
            array[place] = kept
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(found[name][place], abs=1e-5 * scale)


def test_a_batch_with_the_whole_window_gives_what_the_shared_states_give() -> None:
    """Training samples neighbours and forgets hosts; with all neighbours and nothing forgotten both paths agree."""
    data = busy_network(4, 120)
    inputs, parameters = inputs_of(data), exact_parameters()
    history = inputs.history
    sage1 = sage1_of(parameters, inputs.nodes)
    told = np.empty_like(sage1)
    counts = np.maximum(history.window_counts(), 1)[:, None]
    told[history.order] = history.window_sums(sage1[history.order ^ 1].astype(np.float32)) / counts
    shared = probabilities_of(parameters, embedding_of(parameters, sage1, told, inputs.nodes), inputs.edges)

    for edge in (0, 1, 60, 119):
        ends = np.array([2 * edge, 2 * edge + 1])
        windows = [history.order[p - min(history.rank[p], 10) : p] ^ 1 for p in history.place[ends]]
        width = max(1, *(len(window) for window in windows))
        nodes = np.zeros((2 + 2 * width, inputs.nodes.shape[1]))
        nodes[:2] = inputs.nodes[ends]
        share = np.zeros(2)
        for side, window in enumerate(windows):
            if len(window) == width:
                nodes[2 + side * width : 2 + (side + 1) * width] = inputs.nodes[window]
                share[side] = 1 / width
        if all(len(window) in {0, width} for window in windows):
            logits = forward(parameters, Batch(inputs.edges[[edge]], nodes, share)).logits
            expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
            np.testing.assert_allclose(shared[[edge]], expected, atol=1e-5)


def test_sampled_neighbours_are_the_other_ends_of_recent_flows() -> None:
    data = busy_network(5, 200)
    inputs = inputs_of(data)
    rows = np.array([150, 199])

    batch = batch_of(inputs, rows, np.random.default_rng(0), forgotten=0.0)

    assert len(FAMILIES) == 9
    nodes = batch.nodes[batch.own :].reshape(batch.own, -1, batch.nodes.shape[1])
    for number, end in enumerate(np.column_stack((2 * rows, 2 * rows + 1)).ravel()):
        host = (data.src, data.dst)[end % 2][end // 2]
        flows = [row for row in range(end // 2) if host in {data.src[row], data.dst[row]}][-10:]
        candidates = inputs.nodes[[2 * row + (1 if data.src[row] == host else 0) for row in flows]]
        assert batch.share[number] == pytest.approx(1 / nodes.shape[1])
        for node in nodes[number]:
            assert (candidates == node).all(axis=1).any()
