"""Training of the temporal graph network under differential privacy for sessions: DP-SGD by ghost clipping.

A session's gradient by a layer is the sum over its rows r of the outer products of inputs a_r and errors e_r. Its
squared norm is `sum_(r,s) (a_r . a_s + 1) (e_r . e_s)`, the bias included (Li et al., "Large Language Models Can Be
Strong Differentially Private Learners", ICLR 2022, section 4): no gradient of a session need be built. Where a session
has so many rows that building it is cheaper, it is built. Clipping a session multiplies its errors.

What is added up and how noise is scaled is as in `dpsgd`. Its bound on rounding errors counts an example as one term
of norm C; here an example is a sum of up to 64 rows, for which the limit on drawn examples leaves as much room.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml import perceptron
from models_ml.codec import Int32
from models_ml.dpsgd import UNITS, Coins, Int64, RecordNoise, noisy_descent
from models_ml.errors import OutOfRange
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.tgnn.inputs import MEMORY
from models_ml.tgnn.network import BOUND, EMBEDDING, SAGE1, cross_entropy, sage1_of
from models_ml.tgnn.sessions import Block, Sessions

Float64 = npt.NDArray[np.float64]
Layers = dict[str, tuple[Float64, Float64]]

MAX_DRAWN = 1 << 14
"""Sessions of one step, at most."""


def train_privately(
    parent: Mapping[str, Int32],
    sessions: Sessions,
    config: LocalConfig,
    *,
    noise: RecordNoise,
    coins: Coins,
    progress: Progress | None = None,
) -> dict[str, Int32]:
    """The update of `noise.steps` steps from `parent`; the number of sessions is public.

    Of `config` the learning rate and the proximal term count. Every family and every session weighs the same.

    Raises:
        OutOfRange: training diverged, or a step draws too many sessions.
    """
    return noisy_descent(
        parent,
        len(sessions),
        lambda parameters, drawn: clipped_sum(parameters, sessions, drawn, noise.clip),
        config,
        noise=noise,
        coins=coins,
        progress=progress,
    )


def clipped_sum(
    parameters: Mapping[str, npt.NDArray[Any]], sessions: Sessions, drawn: npt.NDArray[np.intp], clip: float
) -> dict[str, Int64]:
    """The sum over sessions of their gradients, each clipped to L2 norm `clip`, by tensor, in units of `clip` / 2^20.

    A session whose gradient has no finite norm contributes nothing.

    Raises:
        OutOfRange: more than `MAX_DRAWN` sessions.
    """
    if len(drawn) > MAX_DRAWN:
        raise OutOfRange(
            f"a step drew {len(drawn)} sessions",
            expected=f"at most {MAX_DRAWN}",
            action="Lower FL_PRIVACY_SAMPLING_RATE, or train on fewer records.",
        )
    exact = {name: array.astype(np.float64) for name, array in parameters.items()}
    total = {name: np.zeros(array.shape) for name, array in parameters.items()}
    for block in sessions.blocks(drawn):
        with np.errstate(over="ignore", invalid="ignore"):
            layers = backward(exact, block)
            norms = np.sqrt(sum(squared_norms(*layer) for layer in layers.values()))
        finite = np.isfinite(norms)
        if not finite.all():  # a copy of everything, which is seldom needed
            layers = {name: (inputs[finite], errors[finite]) for name, (inputs, errors) in layers.items()}
        factors = 1 / np.maximum(norms[finite], clip)
        for name, (inputs, errors) in layers.items():
            scaled = (errors * factors[:, None, None]).reshape(-1, errors.shape[2])
            total[f"{name}.weight"] += inputs.reshape(-1, inputs.shape[2]).T @ scaled
            total[f"{name}.bias"] += scaled.sum(axis=0)
    return {name: np.rint(array * UNITS).astype(np.int64) for name, array in total.items()}


def backward(parameters: Mapping[str, Float64], block: Block) -> Layers:
    """Of every layer its inputs (s, rows, in) and its errors (s, rows, out), for the mean losses of each session."""
    count, length = block.labels.shape
    edges, labels, weights = block.edges.reshape(count * length, -1), block.labels.ravel(), block.weights.ravel()
    nodes = block.nodes.reshape(2 * count * length, -1)

    def of_sessions(rows: Float64) -> Float64:
        return rows.reshape(count, -1, rows.shape[-1])

    sage1 = sage1_of(parameters, nodes)
    told = (block.share @ of_sessions(sage1)).reshape(sage1.shape)
    around = np.concatenate((sage1, told, nodes[:, MEMORY:]), axis=1)
    embedding = around @ parameters["sage2.weight"]
    embedding += parameters["sage2.bias"]
    np.maximum(embedding, 0, out=embedding)
    joined = np.concatenate((embedding.reshape(len(edges), -1), edges), axis=1)
    context = joined @ parameters["context.weight"]
    context += parameters["context.bias"]
    np.maximum(context, 0, out=context)
    bent = np.tanh((context @ parameters["correction.weight"] + parameters["correction.bias"]) / BOUND)

    _, d_logits = cross_entropy(bent * BOUND + perceptron.logits(parameters, edges), labels, weights)
    d_correction = d_logits * (1 - bent * bent)
    d_context = d_correction @ parameters["correction.weight"].T
    d_context *= context > 0
    d_embedding = (d_context @ parameters["context.weight"][: 2 * EMBEDDING].T).reshape(embedding.shape)
    d_embedding *= embedding > 0
    d_around = d_embedding @ parameters["sage2.weight"][: 2 * SAGE1].T
    d_sage1 = (block.share.swapaxes(1, 2) @ of_sessions(d_around[:, SAGE1:])).reshape(sage1.shape)
    d_sage1 += d_around[:, :SAGE1]
    d_sage1 *= sage1 > 0
    layers = {
        "sage1": (nodes, d_sage1),
        "sage2": (around, d_embedding),
        "context": (joined, d_context),
        "correction": (context, d_correction),
        **perceptron.backward(parameters, edges, labels, weights)[0],
    }
    return {name: (of_sessions(inputs), of_sessions(errors)) for name, (inputs, errors) in layers.items()}


def squared_norms(inputs: Float64, errors: Float64) -> Float64:
    """Squared L2 norms (s,) of the sessions' gradients by a layer's weight and bias, the cheaper way."""
    rows, width, height = inputs.shape[1], inputs.shape[2], errors.shape[2]
    if rows * (width + height) < width * height:
        inner = inputs @ inputs.swapaxes(1, 2)
        inner += 1
        return np.asarray(np.einsum("srt,srt->s", inner, errors @ errors.swapaxes(1, 2)))
    gradient = inputs.swapaxes(1, 2) @ errors
    bias = errors.sum(axis=1)
    return np.asarray(np.einsum("sio,sio->s", gradient, gradient) + np.einsum("so,so->s", bias, bias))
