"""Training of the temporal graph network inside one organisation; the example is an edge with its temporal tree.

Minibatch SGD as of the edge classifier (`local_trainer`): momentum, class-balanced cross-entropy, FedProx; and outlier
exposure (`exposure`). Not for privacy of single records: one flow enters the examples of all flows that follow at its
hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.errors import TooFewFlows
from models_ml.families import UNLABELLED
from models_ml.local_trainer import LocalConfig, Progress, TrainResult, bounded, descend, family_weights, update_of
from models_ml.perceptron import parameters_of
from models_ml.tgnn.exposure import disturb, made_up
from models_ml.tgnn.inputs import Inputs
from models_ml.tgnn.losses import loss_and_gradient
from models_ml.tgnn.sampling import batch_of


def train(
    parent: Mapping[str, Int32],
    inputs: Inputs,
    labels: npt.NDArray[np.integer[Any]],
    config: LocalConfig,
    progress: Progress | None = None,
) -> TrainResult:
    """Train from `parent` on the edges whose `labels` (n,) name a family; all edges count as their hosts' past.

    Raises:
        TooFewFlows: no labelled edge.
        OutOfRange: training diverged to values that are not finite.
    """
    known = np.flatnonzero(labels != UNLABELLED)
    if not len(known):
        raise TooFewFlows("there are no labelled flow records to train on", expected="at least one")
    start = parameters_of(parent)
    parameters = {name: array.copy() for name, array in start.items()}
    velocity = {name: np.zeros_like(array) for name, array in start.items()}
    weights = family_weights(labels[known])
    rng = np.random.Generator(np.random.PCG64(config.seed))

    total, done, epoch_loss = -(-len(known) // config.batch_size) * config.epochs, 0, 0.0
    for _ in range(config.epochs):
        order = rng.permutation(known)
        epoch_loss = 0.0
        for first in range(0, len(order), config.batch_size):
            rows = order[first : first + config.batch_size]
            outliers = made_up(len(rows))
            batch = batch_of(inputs, np.concatenate((rows, rng.choice(known, outliers))), rng)
            disturb(batch, outliers, rng)
            each = weights[labels[rows]] / np.float32(len(rows))
            loss, gradient = loss_and_gradient(parameters, batch, labels[rows], each)
            descend(parameters, velocity, bounded(gradient), start, config)
            epoch_loss += loss * len(rows)
            done += 1
            if progress is not None:
                progress(done, total)
    return TrainResult(delta=update_of(parameters, start), loss=epoch_loss / len(known), steps=done)
