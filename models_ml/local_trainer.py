"""Training of the edge classifier inside one organisation.

Minibatch SGD with momentum on a class-balanced cross-entropy, with FedProx's proximal term `mu/2 |w - w_parent|^2`
(Li et al. 2020, section 3.2). Every family weighs by its effective number of records (Cui et al. 2019, eq. 2), so that
a flood of one family does not drown the others.

Set `OPENBLAS_NUM_THREADS=1` in the environment of a training process: the matrices are small and threads only wait
for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.errors import TooFewFlows
from models_ml.families import FAMILIES
from models_ml.fixed_point import MAX_UPDATE, quantise
from models_ml.perceptron import Float32, Parameters, loss_and_gradient, parameters_of

MOMENTUM = 0.9
EFFECTIVE_NUMBER_BETA = 0.999
MAX_GRADIENT_NORM = 5.0

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True)
class LocalConfig:
    """What a round's configuration fixes about local training; the seed is the organisation's own."""

    epochs: int = 2
    batch_size: int = 32
    learning_rate: float = 0.01
    proximal_mu: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or self.learning_rate <= 0 or self.proximal_mu < 0:
            raise ValueError(f"no training is possible with {self}")

    @classmethod
    def from_round(cls, local: Mapping[str, Any], seed: int) -> LocalConfig:
        """Read the `local` part of a round's configuration, whose rates are integers in parts per million."""
        return cls(
            epochs=local["epochs"],
            batch_size=local["batch_size"],
            learning_rate=local["learning_rate_ppm"] / 1e6,
            proximal_mu=local["proximal_ppm"] / 1e6,
            seed=seed,
        )


@dataclass(frozen=True)
class TrainResult:
    """The update of one organisation: integers to add to the parent, and the mean loss of the last epoch."""

    delta: dict[str, Int32]
    loss: float
    steps: int


def train(
    parent: Mapping[str, Int32],
    inputs: Float32,
    labels: npt.NDArray[np.integer[Any]],
    config: LocalConfig,
    progress: Progress | None = None,
) -> TrainResult:
    """Train from `parent` on normalised `inputs` (n, features) and family indices `labels` (n,).

    Raises:
        TooFewFlows: no records.
        OutOfRange: training diverged to values that are not finite.
    """
    if not len(inputs):
        raise TooFewFlows("there are no labelled flow records to train on", expected="at least one")
    start = parameters_of(parent)
    parameters = {name: array.copy() for name, array in start.items()}
    velocity = {name: np.zeros_like(array) for name, array in start.items()}
    weights = family_weights(labels)
    rng = np.random.Generator(np.random.PCG64(config.seed))

    batches = -(-len(inputs) // config.batch_size)
    total, done, epoch_loss = batches * config.epochs, 0, 0.0
    for _ in range(config.epochs):
        order = rng.permutation(len(inputs))
        epoch_loss = 0.0
        for first in range(0, len(order), config.batch_size):
            batch = order[first : first + config.batch_size]
            loss, gradient = loss_and_gradient(parameters, inputs[batch], labels[batch], weights[labels[batch]])
            descend(parameters, velocity, bounded(gradient), start, config)
            epoch_loss += loss * len(batch)
            done += 1
            if progress is not None:
                progress(done, total)
    return TrainResult(delta=update_of(parameters, start), loss=epoch_loss / len(inputs), steps=done)


def family_weights(labels: npt.NDArray[np.integer[Any]]) -> Float32:
    """The weight of an example of every family, from how often the families occur in `labels`.

    The weights average 1 over the examples; a family that does not occur weighs 0.
    """
    counts = np.bincount(labels, minlength=len(FAMILIES)).astype(np.float64)
    present = counts > 0
    effective = (1 - np.power(EFFECTIVE_NUMBER_BETA, counts)) / (1 - EFFECTIVE_NUMBER_BETA)
    weights = np.divide(1.0, effective, out=np.zeros_like(effective), where=present)
    weights *= counts.sum() / (weights @ counts)
    return weights.astype(np.float32)


def descend(
    parameters: Parameters, velocity: Parameters, gradient: Parameters, start: Parameters, config: LocalConfig
) -> None:
    """One step of SGD with momentum and the proximal pull towards `start`; changes `parameters` and `velocity`."""
    rate, mu = np.float32(config.learning_rate), np.float32(config.proximal_mu)
    for name, array in parameters.items():
        pull = gradient[name] + mu * (array - start[name])
        velocity[name] *= np.float32(MOMENTUM)
        velocity[name] -= rate * pull
        np.add(array, velocity[name], out=array)


def update_of(parameters: Parameters, start: Parameters) -> dict[str, Int32]:
    """What training changed, in fixed point; values are cut off at the bound of an update.

    Raises:
        OutOfRange: training diverged to values that are not finite.
    """
    return {
        name: quantise(np.clip(array.astype(np.float64) - start[name], -MAX_UPDATE, MAX_UPDATE))
        for name, array in parameters.items()
    }


def bounded(gradient: Parameters) -> Parameters:
    """The gradient, shortened to an L2 norm of at most `MAX_GRADIENT_NORM`."""
    norm = float(np.sqrt(sum(float(np.vdot(array, array)) for array in gradient.values())))
    shrink = np.float32(min(1.0, MAX_GRADIENT_NORM / norm) if norm > 0 else 1.0)
    return {name: array * shrink for name, array in gradient.items()}
