"""Groups 3, 4 and 6: what needs no coordinator: privacy, models, aggregation."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from federation.aggregation import registry
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.strategy import Strategy
from flxdr.installation.outcome import require
from models_ml import synthetic
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig
from models_ml.registry import MODELS, TGNN
from models_ml.tasks import task_for
from privacy.dp import discrete_gaussian
from privacy.dp.accountant import Release, calibrated_multiplier_ppm, epsilon_ppm
from privacy.paillier import decryption, encryption
from privacy.paillier.keys import PrivateKey
from privacy.secagg import client, masks, ring
from privacy.secagg.group import Group, Party
from privacy.secagg.secrets import Secrets
from privacy.secagg.server import remaining_seeds

ROUNDS, DELTA, PPM = 10, 1e-5, 1_000_000
SAMPLES, SIGMA = 200_000, 1000.0
UPDATES, SIZE = 9, 500
_NAMES = ("alpha", "beta", "gamma")
Values = NDArray[np.int64]


def privacy() -> str:
    """Calibration, a measured noise sample, a masked sum, an encrypted sum."""
    noise = calibrated_multiplier_ppm(budget_ppm=PPM, delta=DELTA, sampling_ppm=PPM, steps=ROUNDS)
    spent, over = (epsilon_ppm([Release(PPM, each, steps=ROUNDS)], DELTA) for each in (noise, noise - 1))
    require(spent <= PPM < over, "the calibrated noise does not spend exactly epsilon 1", (spent, over))
    drawn = discrete_gaussian.sample(SIGMA, SAMPLES)
    deviation = float(drawn.std())
    # Five standard errors of a sample's deviation and mean: by chance once in a million runs.
    require(abs(deviation / SIGMA - 1) < 5 / math.sqrt(2 * SAMPLES), "the noise has another deviation", deviation)
    require(abs(float(drawn.mean())) < 5 * SIGMA / math.sqrt(SAMPLES), "the noise has a mean", float(drawn.mean()))
    values = np.random.default_rng(0).integers(-(2**24), 2**24, (len(_NAMES), SIZE))
    require(np.array_equal(masked_sum(values), values.sum(0)), "the masked sum is not the plain one")
    key, numbers = PrivateKey.generate(2048), ([3, 5, 2**64], [4, 2**32, 7])
    require(encrypted_sum(key, numbers) == [7, 5 + 2**32, 2**64 + 7], "the encrypted sum is not the plain one")
    return (
        f"epsilon {spent / PPM:.6f} of 1 spent by {ROUNDS} rounds at noise {noise / PPM:.3f}; deviation of {SAMPLES} "
        f"draws {deviation:.1f} for {SIGMA:.0f}; masked sum of {len(_NAMES)} x {SIZE} exact; Paillier sum exact"
    )


def masked_sum(values: Values) -> Values:
    """The sum that a coordinator learns from masked vectors, of which none is like what it hides."""
    secrets = {name: Secrets.from_seed(os.urandom(32)) for name in _NAMES}
    parties = [Party(name, own.mask_key, own.share_key, own.seed_commitment) for name, own in secrets.items()]
    group = Group(os.urandom(32), tuple(parties))
    sealed = {name: client.seal_shares(own, name, group) for name, own in secrets.items()}
    bits = ring.word_bits(2**24, len(_NAMES))
    total = ring.to_ring(np.zeros(values.shape[1], dtype=np.int64), bits)
    answers = {}
    for name, own, row in zip(_NAMES, secrets.values(), values, strict=True):
        received = {sender: messages[name] for sender, messages in sealed.items() if sender != name}
        words = ring.to_ring(row, bits)
        plain = words.copy()
        masks.add(words, client.mask_seeds(own, name, group, secrets))
        require(int(np.count_nonzero(words == plain)) < 5, f"the vector of {name} is not masked")
        total += words
        answers[name] = client.unmask(own, name, group, received, sharers=secrets, survivors=list(secrets))
    masks.subtract(total, remaining_seeds(group, secrets, list(secrets), answers).seeds)
    return ring.from_ring(total)


def encrypted_sum(key: PrivateKey, columns: Sequence[Sequence[int]]) -> list[int]:
    """Add up encrypted, open, and verify the opening as everybody without the key can."""
    encrypted = [
        encryption.parse(key.public, encryption.encrypt(key.public, column), len(column)) for column in columns
    ]
    total = encryption.add(key.public, encrypted)
    openings = decryption.open_all(key, total)
    decryption.verify(key.public, total, openings)
    return list(openings.plaintexts)


def models() -> str:
    """The temporal graph network learns on generated flows."""
    parent = MODELS[TGNN].initial()
    records = synthetic.generate(7, records=600)["bank"].train
    losses = []
    for seed in range(2):
        config = LocalConfig(epochs=1, batch_size=64, learning_rate=0.02, proximal_mu=0.0, seed=seed)
        update = task_for(TGNN).train(parent, records, config)
        losses.append(float(update.metrics["loss"]))
        parent = {name: add_update(parent[name], delta) for name, delta in update.delta.items()}
    require(losses[1] < losses[0], "a second epoch does not lower the loss", losses)
    return (
        f"loss of the temporal graph network {losses[0]:.4f}, after an epoch {losses[1]:.4f}, on {len(records)} flows"
    )


def aggregation() -> str:
    """Every strategy, in any order of arrival and on any number of threads; the basic ones against their formulas."""
    rng = np.random.default_rng(0)
    updates = [rng.integers(-(2**20), 2**20, SIZE, dtype=np.int32) for _ in range(UPDATES)]
    cohort = _cohort(updates)
    for name, (strategy, oracle) in ORACLES.items():
        found = aggregate(strategy(), cohort).update.tolist()
        require(found == oracle(cohort), f"{name} is not its formula")
    names = [*registry.MEANS, *registry.ROBUST_METHODS]
    for name in names:
        method = name if name in registry.MEANS else registry.ROBUST
        params = {} if name in registry.MEANS else {registry.ROBUST_METHOD: name}
        results = [
            aggregate(registry.build(method, params), each, threads=threads).update.tobytes()
            for each, threads in ((cohort, 1), (cohort, 2), (_cohort(updates[::-1]), 1))
        ]
        require(len(set(results)) == 1, f"{name} depends on threads or on the order of arrival")
    return (
        f"{', '.join(ORACLES)} equal to their formulas in exact fractions; {len(names)} strategies bit-equal on one "
        "and two threads and in the reverse order"
    )


def _cohort(updates: Sequence[NDArray[np.int32]]) -> Cohort:
    digests = [hashlib.sha256(update.tobytes()).hexdigest() for update in updates]
    return Cohort(updates, np.ones(len(updates), dtype=np.int64), digests)


def _half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def _columns(cohort: Cohort) -> list[list[int]]:
    return [list(column) for column in zip(*(update[:].tolist() for update in cohort.updates), strict=True)]


def _mean(cohort: Cohort) -> list[int]:
    return [_half_up(Fraction(sum(column), len(column))) for column in _columns(cohort)]


def _pulled(cohort: Cohort) -> list[int]:
    return [value - _half_up(Fraction(value, 100)) for value in _mean(cohort)]


def _median(cohort: Cohort) -> list[int]:
    return [sorted(column)[len(column) // 2] for column in _columns(cohort)]


def _trimmed(cohort: Cohort) -> list[int]:
    kept = [sorted(column)[1:-1] for column in _columns(cohort)]
    return [_half_up(Fraction(sum(column), len(column))) for column in kept]


ORACLES: dict[str, tuple[Callable[[], Strategy], Callable[[Cohort], list[int]]]] = {
    "FedAvg": (lambda: registry.build("FedAvg"), _mean),
    "FedProx": (lambda: registry.build("FedProx", {"lambda_ppm": 10_000}), _pulled),
    "median": (lambda: registry.build(registry.ROBUST, {registry.ROBUST_METHOD: "median"}), _median),
    "trimmed_mean": (
        lambda: registry.build(registry.ROBUST, {registry.ROBUST_METHOD: "trimmed_mean", "trim_ppm": 120_000}),
        _trimmed,
    ),
}
"""A strategy, and its formula written down naively for nine updates of weight one."""
