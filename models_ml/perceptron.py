"""A perceptron with two hidden ReLU layers and a softmax over families, forward and backward by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.fixed_point import dequantise

Float32 = npt.NDArray[np.float32]
Parameters = dict[str, Float32]


def parameters_of(tensors: Mapping[str, Int32]) -> Parameters:
    """The float32 view of a model's integers, freshly allocated."""
    return {name: dequantise(array).astype(np.float32) for name, array in tensors.items()}


def logits(parameters: Mapping[str, Float32], inputs: Float32) -> Float32:
    """Unnormalised log-probabilities, shape (n, families), of normalised inputs (n, features)."""
    hidden1 = np.maximum(inputs @ parameters["hidden1.weight"] + parameters["hidden1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ parameters["hidden2.weight"] + parameters["hidden2.bias"], 0)
    return np.asarray(hidden2 @ parameters["output.weight"] + parameters["output.bias"])


def softmax(scores: Float32) -> Float32:
    """Row-wise softmax, shifted by the maximum so that it cannot overflow."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def loss_and_gradient(
    parameters: Mapping[str, Float32],
    inputs: Float32,
    labels: npt.NDArray[np.integer],
    weights: Float32,
) -> tuple[float, Parameters]:
    """Weighted cross-entropy of a batch and its gradient.

    Args:
        inputs: (n, features), normalised.
        labels: (n,) indices of families.
        weights: (n,) weight of each example; the loss is `sum(w * ce) / n`.
    """
    hidden1 = np.maximum(inputs @ parameters["hidden1.weight"] + parameters["hidden1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ parameters["hidden2.weight"] + parameters["hidden2.bias"], 0)
    probabilities = softmax(hidden2 @ parameters["output.weight"] + parameters["output.bias"])

    rows = np.arange(len(labels))
    chosen = np.maximum(probabilities[rows, labels], np.finfo(np.float32).tiny)
    loss = -float(weights @ np.log(chosen)) / len(labels)

    d_scores = probabilities
    d_scores[rows, labels] -= 1
    d_scores *= weights[:, None] / np.float32(len(labels))
    d_hidden2 = (d_scores @ parameters["output.weight"].T) * (hidden2 > 0)
    d_hidden1 = (d_hidden2 @ parameters["hidden2.weight"].T) * (hidden1 > 0)
    gradient = {
        "hidden1.weight": inputs.T @ d_hidden1,
        "hidden1.bias": d_hidden1.sum(axis=0),
        "hidden2.weight": hidden1.T @ d_hidden2,
        "hidden2.bias": d_hidden2.sum(axis=0),
        "output.weight": hidden2.T @ d_scores,
        "output.bias": d_scores.sum(axis=0),
    }
    return loss, gradient
