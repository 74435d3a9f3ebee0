"""A perceptron with two hidden ReLU layers and a softmax over families, forward and backward by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.fixed_point import dequantise

Float32 = npt.NDArray[np.float32]
Precision = TypeVar("Precision", np.float32, np.float64)
Floats = npt.NDArray[np.floating[Any]]
Layers = Mapping[str, tuple[Floats, Floats]]
Parameters = dict[str, Float32]


def parameters_of(tensors: Mapping[str, Int32]) -> Parameters:
    """The float32 view of a model's integers, freshly allocated."""
    return {name: dequantise(array).astype(np.float32) for name, array in tensors.items()}


def logits(parameters: Mapping[str, Floats], inputs: Floats) -> Floats:
    """Unnormalised log-probabilities, shape (n, families), of normalised inputs (n, features)."""
    hidden1 = np.maximum(inputs @ parameters["hidden1.weight"] + parameters["hidden1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ parameters["hidden2.weight"] + parameters["hidden2.bias"], 0)
    return np.asarray(hidden2 @ parameters["output.weight"] + parameters["output.bias"])


def softmax(scores: npt.NDArray[Precision]) -> npt.NDArray[Precision]:
    """Row-wise softmax, shifted by the maximum so that it cannot overflow."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=scores.dtype)


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
    layers, probabilities = backward(parameters, inputs, labels, weights / np.float32(len(labels)))
    chosen = np.maximum(probabilities[np.arange(len(labels)), labels], np.finfo(np.float32).tiny)
    return -float(weights @ np.log(chosen)) / len(labels), summed(layers)


def backward(
    parameters: Mapping[str, Floats],
    inputs: Floats,
    labels: npt.NDArray[np.integer],
    weights: Floats,
) -> tuple[Layers, Floats]:
    """What the gradient of `sum(w * ce)` is made of, example by example, and the probabilities (n, families).

    Returns:
        Of every layer its inputs (n, in) and its errors (n, out), the derivatives by its outputs: an example's gradient
        is the outer product of the two for the weights, and the error itself for the bias.
    """
    hidden1 = np.maximum(inputs @ parameters["hidden1.weight"] + parameters["hidden1.bias"], 0)
    hidden2 = np.maximum(hidden1 @ parameters["hidden2.weight"] + parameters["hidden2.bias"], 0)
    probabilities = softmax(hidden2 @ parameters["output.weight"] + parameters["output.bias"])
    d_scores = probabilities.copy()
    d_scores[np.arange(len(labels)), labels] -= 1
    d_scores *= weights[:, None]
    d_hidden2 = (d_scores @ parameters["output.weight"].T) * (hidden2 > 0)
    d_hidden1 = (d_hidden2 @ parameters["hidden2.weight"].T) * (hidden1 > 0)
    layers = {"hidden1": (inputs, d_hidden1), "hidden2": (hidden1, d_hidden2), "output": (hidden2, d_scores)}
    return layers, probabilities


def summed(layers: Layers) -> dict[str, Any]:
    """The sum of all examples' gradients, by tensor."""
    gradient = {}
    for name, (inputs, errors) in layers.items():
        gradient[f"{name}.weight"] = inputs.T @ errors
        gradient[f"{name}.bias"] = errors.sum(axis=0)
    return gradient
