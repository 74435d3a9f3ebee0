"""The network, forward and backward by hand.

    sage1:  h = relu(W1 node + b1)                                          of a node event
    sage2:  z = relu(W2s h + W2n mean(h of the other ends of the recent flows) + W2r recent + b2)
    head:   relu(W3s z_src + W3d z_dst + W3e edge + b3) W4 + b4             of an edge

`z` is the threat embedding of a host at a flow. GraphSAGE (Hamilton et al. 2017) with mean aggregation in time: what a
neighbour contributes is its own state at the time of the flow that makes it a neighbour, so one `h` per node event
serves every edge that looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.families import FAMILIES
from models_ml.features import FEATURES
from models_ml.perceptron import softmax
from models_ml.tgnn.inputs import MEMORY, NODE, RECENT

Floats = npt.NDArray[Any]

SAGE1, EMBEDDING, HEAD = 64, 128, 64
SHAPES: Mapping[str, tuple[int, ...]] = {
    "sage1.weight": (NODE, SAGE1),
    "sage1.bias": (SAGE1,),
    "sage2.weight": (2 * SAGE1 + RECENT, EMBEDDING),
    "sage2.bias": (EMBEDDING,),
    "hidden.weight": (2 * EMBEDDING + len(FEATURES), HEAD),
    "hidden.bias": (HEAD,),
    "output.weight": (HEAD, len(FAMILIES)),
    "output.bias": (len(FAMILIES),),
}


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
    """What a forward pass keeps for the backward pass: the inputs of every layer, and its outputs."""

    sage1: Floats
    around: Floats
    embedding: Floats
    joined: Floats
    hidden: Floats
    logits: Floats


def forward(parameters: Mapping[str, Floats], batch: Batch) -> Pass:
    """Run the network on a batch."""
    own = batch.own
    sage1 = sage1_of(parameters, batch.nodes)
    told = sage1[own:].reshape(own, -1, SAGE1).sum(axis=1) * batch.share[:, None]
    around = np.concatenate((sage1[:own], told, batch.nodes[:own, MEMORY:]), axis=1)
    embedding = around @ parameters["sage2.weight"]
    embedding += parameters["sage2.bias"]
    np.maximum(embedding, 0, out=embedding)
    joined = np.concatenate((embedding.reshape(own // 2, -1), batch.edges), axis=1)
    hidden = joined @ parameters["hidden.weight"]
    hidden += parameters["hidden.bias"]
    np.maximum(hidden, 0, out=hidden)
    logits = hidden @ parameters["output.weight"] + parameters["output.bias"]
    return Pass(sage1, around, embedding, joined, hidden, logits)


def backward(parameters: Mapping[str, Floats], batch: Batch, done: Pass, d_logits: Floats) -> dict[str, Floats]:
    """Gradients by tensor of a loss whose derivatives by the logits are `d_logits` (b, families)."""
    own = batch.own
    d_hidden = d_logits @ parameters["output.weight"].T
    d_hidden *= done.hidden > 0
    d_embedding = (d_hidden @ parameters["hidden.weight"][: 2 * EMBEDDING].T).reshape(own, -1)
    d_embedding *= done.embedding > 0
    d_around = d_embedding @ parameters["sage2.weight"][: 2 * SAGE1].T
    d_sage1 = np.empty_like(done.sage1)
    d_sage1[:own] = d_around[:, :SAGE1]
    d_sage1[own:].reshape(own, -1, SAGE1)[:] = (d_around[:, SAGE1:] * batch.share[:, None])[:, None]
    d_sage1 *= done.sage1 > 0
    return {
        "sage1.weight": batch.nodes.T @ d_sage1,
        "sage1.bias": d_sage1.sum(axis=0),
        "sage2.weight": done.around.T @ d_embedding,
        "sage2.bias": d_embedding.sum(axis=0),
        "hidden.weight": done.joined.T @ d_hidden,
        "hidden.bias": d_hidden.sum(axis=0),
        "output.weight": done.hidden.T @ d_logits,
        "output.bias": d_logits.sum(axis=0),
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
    weight = parameters["hidden.weight"]
    hidden = embedding.reshape(len(edges), 2 * EMBEDDING) @ weight[: 2 * EMBEDDING]
    hidden += edges @ weight[2 * EMBEDDING :]
    hidden += parameters["hidden.bias"]
    np.maximum(hidden, 0, out=hidden)
    return softmax(np.asarray(hidden @ parameters["output.weight"] + parameters["output.bias"]))
