"""What an attacker who knows everything but the coins can tell: the presence of one record, no better than promised.

The best attack on one Gaussian release of noise multiplier sigma tells presence from absence with an advantage of
2 Phi(1 / (2 sigma)) - 1, and q times that where the record is drawn with probability q. It is made here many times, on
the real training, against a record whose gradient is far above the clipping norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from models_ml import registry
from models_ml.dpsgd import RecordNoise, clipped_sum, private_means, train_privately
from models_ml.features import FEATURES
from models_ml.fixed_point import SCALE
from models_ml.local_trainer import LocalConfig
from models_ml.perceptron import parameters_of
from privacy.dp.coins import SecretCoins

PARENT = registry.MODELS["edge-classifier"].initial()
RUNS = 1200
MARGIN = 2.7 * math.sqrt(2 / RUNS)
"""By which an observed advantage exceeds the true one in one of a million audits (Kolmogorov-Smirnov)."""
CANARY = np.full((1, len(FEATURES)), 6.0, dtype=np.float32)
OTHERS = np.zeros((3, len(FEATURES)), dtype=np.float32)
RATE = LocalConfig(learning_rate=1.0, proximal_mu=0.0)
Float64 = npt.NDArray[np.float64]


def advantage(present: Float64, absent: Float64) -> float:
    """The largest difference that a threshold on the scores makes."""
    thresholds = np.sort(np.concatenate((present, absent)))
    above = [1 - np.searchsorted(np.sort(scores), thresholds, side="right") / RUNS for scores in (present, absent)]
    return float(np.abs(above[0] - above[1]).max())


def promised(sigma: float, rate: float) -> float:
    return rate * math.erf(1 / (2 * sigma) / math.sqrt(2))


def flat(tensors: Mapping[str, npt.NDArray[np.integer]]) -> Float64:
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)]).astype(np.float64)


@pytest.mark.parametrize(("sigma", "rate"), [(1.0, 1.0), (0.5, 0.3)])
def test_one_step_of_training_tells_no_more_of_a_record_than_it_may(sigma: float, rate: float) -> None:
    noise = RecordNoise(clip=0.1, noise_multiplier=sigma, sampling_ppm=int(rate * 1e6), steps=1)
    direction = flat(clipped_sum(parameters_of(PARENT), CANARY, np.array([3]), noise.clip))
    direction /= np.linalg.norm(direction)

    def scores(inputs: npt.NDArray[np.float32], labels: npt.NDArray[np.intp]) -> Float64:
        scale = rate * len(inputs) / noise.clip / SCALE
        updates = (train_privately(PARENT, inputs, labels, RATE, noise=noise, coins=SecretCoins()) for _ in range(RUNS))
        return np.array([-flat(update) @ direction * scale for update in updates])

    absent = scores(OTHERS, np.zeros(3, np.intp))
    present = scores(np.vstack((OTHERS, CANARY)), np.array([0, 0, 0, 3]))
    found = advantage(present, absent)
    assert found <= promised(sigma, rate) + MARGIN
    assert found >= promised(sigma, rate) / 2 - MARGIN  # the attack is one: noise is not larger than it says


def test_means_tell_no_more_of_a_record_than_they_may() -> None:
    noise = RecordNoise(clip=2.0, noise_multiplier=1.0, sampling_ppm=1_000_000, steps=1)
    rows = np.vstack((OTHERS, CANARY))
    direction = np.full(len(FEATURES), 1 / math.sqrt(len(FEATURES)))
    present, absent = (
        np.array([private_means(values, noise, SecretCoins()) @ direction * len(values) for _ in range(RUNS)])
        for values in (rows, OTHERS)
    )
    found = advantage(present, absent)
    assert promised(1.0, 1.0) - MARGIN <= found <= promised(1.0, 1.0) + MARGIN
