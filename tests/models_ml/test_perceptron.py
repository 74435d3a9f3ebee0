from __future__ import annotations

import numpy as np
import pytest

from models_ml import registry
from models_ml.families import FAMILIES
from models_ml.features import FEATURES
from models_ml.fixed_point import dequantise
from models_ml.perceptron import logits, loss_and_gradient, parameters_of, softmax


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(5)
    parameters = {name: dequantise(array) for name, array in registry.MODELS["edge-classifier"].initial().items()}
    parameters = {name: array + rng.normal(0, 0.05, array.shape) for name, array in parameters.items()}
    inputs = rng.normal(size=(12, len(FEATURES)))
    labels = rng.integers(0, len(FAMILIES), 12)
    weights = rng.uniform(0.5, 2, 12)
    _, gradient = loss_and_gradient(parameters, inputs, labels, weights)  # type: ignore[arg-type]
    step = 1e-6
    for name, array in parameters.items():
        for place in rng.choice(array.size, min(25, array.size), replace=False):
            losses = []
            for sign in (1, -1):
                moved = array.copy()
                moved.flat[place] += sign * step
                losses.append(loss_and_gradient({**parameters, name: moved}, inputs, labels, weights)[0])  # type: ignore[arg-type, dict-item]
            numeric = (losses[0] - losses[1]) / (2 * step)
            assert gradient[name].flat[place] == pytest.approx(numeric, rel=1e-5, abs=1e-8), (name, place)


def test_softmax_rows_sum_to_one_even_for_extreme_scores() -> None:
    probabilities = softmax(np.array([[1e4, 0, -1e4], [0, 0, 0]], dtype=np.float32))
    np.testing.assert_allclose(probabilities, np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]), rtol=1e-6)


def test_loss_and_forward_pass_agree() -> None:
    rng = np.random.default_rng(6)
    parameters = parameters_of(registry.MODELS["edge-classifier"].initial())
    inputs = rng.normal(size=(20, len(FEATURES))).astype(np.float32)
    labels = rng.integers(0, len(FAMILIES), 20)
    loss, _ = loss_and_gradient(parameters, inputs, labels, np.ones(20, dtype=np.float32))
    chosen = softmax(logits(parameters, inputs))[np.arange(20), labels]
    assert loss == pytest.approx(-np.log(chosen).mean(), rel=1e-5)
