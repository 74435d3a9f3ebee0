"""What training descends: the losses of the flow's part and of the prediction, on real examples and on made-up ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.perceptron import softmax
from models_ml.tgnn.exposure import derivatives
from models_ml.tgnn.network import Batch, backward, cross_entropy, forward

Floats = npt.NDArray[Any]


def loss_and_gradient(
    parameters: Mapping[str, Floats], batch: Batch, labels: npt.NDArray[np.integer[Any]], weights: Floats
) -> tuple[float, dict[str, Floats]]:
    """The loss of the prediction on the real examples, and the gradients of all losses by tensor.

    Args:
        labels: (n,) families of the batch's first n edges; those that follow are made up (`exposure`).
        weights: (n,) of the real examples; their loss is `sum(w * ce)`.
    """
    done = forward(parameters, batch)
    loss, d_logits = _derivatives(done.logits, labels, weights)
    _, d_flow = _derivatives(done.flow, labels, weights)
    return loss, backward(parameters, batch, done, d_logits, d_flow)


def _derivatives(logits: Floats, labels: npt.NDArray[np.integer[Any]], weights: Floats) -> tuple[float, Floats]:
    real = len(labels)
    loss, d_real = cross_entropy(logits[:real], labels, weights)
    if real == len(logits):
        return loss, d_real
    return loss, np.concatenate((d_real, derivatives(softmax(logits[real:]))))
