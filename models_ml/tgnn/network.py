"""The network, forward and backward by hand.

    sage1:       h = relu(W1 node + b1)                                     of a node event
    sage2:       z = relu(W2s h + W2n mean(h of the other ends of the recent flows) + W2r recent + b2)
    context:     g = Wc relu(W3s z_src + W3d z_dst + W3e edge + b3) + bc    of an edge
    flow:        f = perceptron(edge)                                       of an edge, as of the edge classifier
    prediction:  softmax(f + B tanh(g / B))

`z` is the threat embedding of a host at a flow. GraphSAGE (Hamilton et al. 2017) with mean aggregation in time: what a
neighbour contributes is its own state at the time of the flow that makes it a neighbour, so one `h` per node event
serves every edge that looks at it.

What hosts did before may correct what a flow shows by itself, but by no more than B in every logit. Unbounded, the
context decided alone, and with confidence, in networks whose habits no organisation had trained on: a flood of a family
that nobody knew ranked below benign traffic. So there are two losses: the flow's own, which is the edge classifier's,
and that of the prediction, which only the context learns from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml import perceptron
from models_ml.families import FAMILIES
from models_ml.features import FEATURES
from models_ml.perceptron import softmax
from models_ml.tgnn.inputs import MEMORY, NODE, RECENT

Floats = npt.NDArray[Any]

SAGE1, EMBEDDING, CONTEXT = 64, 128, 64
FLOW = (64, 32)
BOUND = 3.0
"""The most that the context adds to a logit or takes from it."""
SHAPES: Mapping[str, tuple[int, ...]] = {
    "sage1.weight": (NODE, SAGE1),
    "sage1.bias": (SAGE1,),
    "sage2.weight": (2 * SAGE1 + RECENT, EMBEDDING),
    "sage2.bias": (EMBEDDING,),
    "context.weight": (2 * EMBEDDING + len(FEATURES), CONTEXT),
    "context.bias": (CONTEXT,),
    "correction.weight": (CONTEXT, len(FAMILIES)),
    "correction.bias": (len(FAMILIES),),
    "hidden1.weight": (len(FEATURES), FLOW[0]),
    "hidden1.bias": (FLOW[0],),
    "hidden2.weight": FLOW,
    "hidden2.bias": (FLOW[1],),
    "output.weight": (FLOW[1], len(FAMILIES)),
    "output.bias": (len(FAMILIES),),
}
"""`hidden1`, `hidden2` and `output` are the perceptron's."""


@dataclass(frozen=True)
class Batch:
    """Edges and the temporal tree that they look at.

    Attributes:
        edges: (b, features).
        nodes: (2b (1 + k), NODE) the edges' own node events by turns, then k other ends of recent flows for each.
        share: (2b,) weight of each of those k in the mean: 1 / k, or 0 for a host without a past.
    """

    edges: Floats
    nodes: Floats
    share: Floats

    @property
    def own(self) -> int:
        """The number of the edges' own node events."""
        return len(self.share)


@dataclass(frozen=True)
class Pass:
    """What a forward pass keeps for the backward pass: the outputs of every layer, and what came in where it is new."""

    sage1: Floats
    around: Floats
    embedding: Floats
    joined: Floats
    context: Floats
    bent: Floats
    hidden1: Floats
    hidden2: Floats
    flow: Floats
    logits: Floats


def forward(parameters: Mapping[str, Floats], batch: Batch) -> Pass:
    """Run the network on a batch."""
    own = batch.own
    sage1 = sage1_of(parameters, batch.nodes)
    told = _sum_of_each(sage1[own:].reshape(own, -1, SAGE1))
    told *= batch.share[:, None]
    around = np.concatenate((sage1[:own], told, batch.nodes[:own, MEMORY:]), axis=1)
    embedding = around @ parameters["sage2.weight"]
    embedding += parameters["sage2.bias"]
    np.maximum(embedding, 0, out=embedding)
    joined = np.concatenate((embedding.reshape(own // 2, -1), batch.edges), axis=1)
    context = joined @ parameters["context.weight"]
    context += parameters["context.bias"]
    np.maximum(context, 0, out=context)
    bent = _bent(context @ parameters["correction.weight"] + parameters["correction.bias"])
    hidden1 = np.maximum(batch.edges @ parameters["hidden1.weight"] + parameters["hidden1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ parameters["hidden2.weight"] + parameters["hidden2.bias"], 0)
    flow = hidden2 @ parameters["output.weight"] + parameters["output.bias"]
    return Pass(sage1, around, embedding, joined, context, bent, hidden1, hidden2, flow, flow + bent * BOUND)


def backward(
    parameters: Mapping[str, Floats], batch: Batch, done: Pass, d_logits: Floats, d_flow: Floats
) -> dict[str, Floats]:
    """Gradients by tensor.

    Args:
        d_logits: (b, families) derivatives of the prediction's loss by the logits; only the context learns from them.
        d_flow: (b, families) derivatives of the flow's own loss by its logits.
    """
    own = batch.own
    d_correction = d_logits * (1 - done.bent * done.bent)
    d_context = d_correction @ parameters["correction.weight"].T
    d_context *= done.context > 0
    d_embedding = (d_context @ parameters["context.weight"][: 2 * EMBEDDING].T).reshape(own, -1)
    d_embedding *= done.embedding > 0
    d_around = d_embedding @ parameters["sage2.weight"][: 2 * SAGE1].T
    d_sage1 = np.empty_like(done.sage1)
    d_sage1[:own] = d_around[:, :SAGE1]
    d_sage1[own:].reshape(own, -1, SAGE1)[:] = (d_around[:, SAGE1:] * batch.share[:, None])[:, None]
    d_sage1 *= done.sage1 > 0
    d_hidden2 = (d_flow @ parameters["output.weight"].T) * (done.hidden2 > 0)
    d_hidden1 = (d_hidden2 @ parameters["hidden2.weight"].T) * (done.hidden1 > 0)
    return {
        "sage1.weight": batch.nodes.T @ d_sage1,
        "sage1.bias": d_sage1.sum(axis=0),
        "sage2.weight": done.around.T @ d_embedding,
        "sage2.bias": d_embedding.sum(axis=0),
        "context.weight": done.joined.T @ d_context,
        "context.bias": d_context.sum(axis=0),
        "correction.weight": done.context.T @ d_correction,
        "correction.bias": d_correction.sum(axis=0),
        "hidden1.weight": batch.edges.T @ d_hidden1,
        "hidden1.bias": d_hidden1.sum(axis=0),
        "hidden2.weight": done.hidden1.T @ d_hidden2,
        "hidden2.bias": d_hidden2.sum(axis=0),
        "output.weight": done.hidden2.T @ d_flow,
        "output.bias": d_flow.sum(axis=0),
    }


def cross_entropy(logits: Floats, labels: npt.NDArray[np.integer[Any]], weights: Floats) -> tuple[float, Floats]:
    """`sum(w * ce)` and its derivatives by the logits (b, families)."""
    probabilities = softmax(logits)
    rows = np.arange(len(labels))
    chosen = np.maximum(probabilities[rows, labels], np.finfo(np.float32).tiny)
    loss = -float(weights @ np.log(chosen))
    probabilities[rows, labels] -= 1
    probabilities *= weights[:, None]
    return loss, probabilities


def sage1_of(parameters: Mapping[str, Floats], nodes: Floats) -> Floats:
    """`h` (m, SAGE1) of node events (m, NODE)."""
    sage1 = nodes @ parameters["sage1.weight"]
    sage1 += parameters["sage1.bias"]
    return np.asarray(np.maximum(sage1, 0, out=sage1))


def embedding_of(parameters: Mapping[str, Floats], sage1: Floats, told: Floats, nodes: Floats) -> Floats:
    """`z` (m, EMBEDDING) of node events, from their `h`, the mean `told` by their neighbours, and their inputs."""
    weight = parameters["sage2.weight"]
    embedding = sage1 @ weight[:SAGE1]
    embedding += told @ weight[SAGE1 : 2 * SAGE1]
    embedding += nodes[:, MEMORY:] @ weight[2 * SAGE1 :]
    embedding += parameters["sage2.bias"]
    return np.asarray(np.maximum(embedding, 0, out=embedding))


def probabilities_of(parameters: Mapping[str, Floats], embedding: Floats, edges: Floats) -> Floats:
    """Probabilities of the families (n, families) of edges (n, features) between hosts embedded by turns (2n, ...)."""
    weight = parameters["context.weight"]
    context = embedding.reshape(len(edges), 2 * EMBEDDING) @ weight[: 2 * EMBEDDING]
    context += edges @ weight[2 * EMBEDDING :]
    context += parameters["context.bias"]
    np.maximum(context, 0, out=context)
    bent = _bent(context @ parameters["correction.weight"] + parameters["correction.bias"])
    return softmax(bent * BOUND + perceptron.logits(parameters, edges))


def _bent(correction: Floats) -> Floats:
    return np.asarray(np.tanh(correction / BOUND))


def _sum_of_each(rows: Floats) -> Floats:
    """Sums (m, d) over the second axis of (m, k, d): k additions of whole arrays, as numpy's own walks row by row."""
    total = rows[:, 0].copy()
    for place in range(1, rows.shape[1]):
        total += rows[:, place]
    return total
