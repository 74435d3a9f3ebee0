"""Differential privacy: what accounting for a step costs, and a private step of training against a plain one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np

from benchmarks.measure import Row, against_peer, alone, versions
from models_ml.dpsgd import RecordNoise, train_privately
from models_ml.families import FAMILIES
from models_ml.features import FEATURES
from models_ml.local_trainer import LocalConfig, train
from models_ml.registry import EDGE_CLASSIFIER, MODELS
from privacy.dp import rdp
from privacy.dp.coins import SecretCoins

RECORDS, SAMPLING_PPM, STEPS = 4000, 100_000, 10
ROUNDS = 100


def rows() -> list[Row]:
    """`dp.step`, in milliseconds, and `dp.sgd`, ten steps of 400 records with and without privacy."""
    note = (
        f"{STEPS} steps of {RECORDS * SAMPLING_PPM // 10**6} of {RECORDS} records, edge-classifier; peer: plain SGD; "
        + versions("numpy", "cryptography")
    )
    return [accounting(), against_peer("dp.sgd", ours=_private, peer=_plain, note=note)]


def accounting() -> Row:
    """A new step's divergences at every order, composed with a hundred rounds before, and their epsilon."""
    spent = [rdp.steps(4.0, 0.1, number + 1) for number in range(ROUNDS)]
    noise = count(4_000_001)  # another one each time: divergences of a step are remembered

    def account() -> float:
        return rdp.epsilon(rdp.composed([*spent, rdp.steps(next(noise) / 1e6, 0.1, 10)]), 1e-5)

    row = alone("dp.step", ours=lambda: account, note="")
    each = f"divergences at {len(rdp.ORDERS)} orders, composed with {ROUNDS} rounds, epsilon"
    return replace(row, note=f"{1000 / row.ours:.0f}/s: {each}")


def _private() -> Callable[[], object]:
    inputs, labels = _records()
    noise = RecordNoise(clip=1.0, noise_multiplier=4.0, sampling_ppm=SAMPLING_PPM, steps=STEPS)
    parent = MODELS[EDGE_CLASSIFIER].initial()
    return lambda: train_privately(parent, inputs, labels, LocalConfig(), noise=noise, coins=SecretCoins())


def _plain() -> Callable[[], object]:
    inputs, labels = _records()
    parent = MODELS[EDGE_CLASSIFIER].initial()
    config = LocalConfig(epochs=1, batch_size=RECORDS * SAMPLING_PPM // 10**6)
    return lambda: train(parent, inputs, labels, config)


def _records() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(RECORDS, len(FEATURES))).astype(np.float32), rng.integers(0, len(FAMILIES), RECORDS)
