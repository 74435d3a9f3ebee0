"""DP-SGD: exact per-example clipping, a bounded sensitivity, and noise where it belongs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from models_ml import dpsgd, registry
from models_ml.dpsgd import MAX_DRAWN, UNITS, RecordNoise, clipped, clipped_sum, private_means, train_privately
from models_ml.errors import OutOfRange, TooFewFlows
from models_ml.families import FAMILIES
from models_ml.features import extract
from models_ml.fixed_point import SCALE, add_update
from models_ml.local_trainer import LocalConfig
from models_ml.perceptron import backward, logits, parameters_of, summed
from privacy.dp.coins import SecretCoins
from privacy.dp.keystream import Keystream
from tests.models_ml.streams import two_families

PARENT = registry.MODELS["edge-classifier"].initial()
PARAMETERS = {name: array.astype(np.float64) for name, array in parameters_of(PARENT).items()}
SIZE = sum(array.size for array in PARENT.values())
FLOWS = two_families(seed=7, count=400)
INPUTS = extract(FLOWS)
NOISE = RecordNoise(clip=1.0, noise_multiplier=0.7, sampling_ppm=100_000, steps=40)
RATE = LocalConfig(learning_rate=0.1, proximal_mu=0.0)
Float64 = npt.NDArray[np.float64]


class Everything:
    """Coins that draw every record and add nothing, so that sums can be compared; never a round's."""

    def drawn(self, rate_ppm: int, count: int) -> npt.NDArray[np.intp]:
        return np.arange(count)

    def noise(self, sigma: float, count: int) -> npt.NDArray[np.int64]:
        return np.zeros(count, dtype=np.int64)


def gradient_of(row: int, inputs: npt.NDArray[np.floating]) -> Float64:
    """One record's gradient, built on its own."""
    layers, _ = backward(PARAMETERS, inputs[row : row + 1].astype(np.float64), FLOWS.family[row : row + 1], np.ones(1))
    return np.concatenate([array.ravel() for _, array in sorted(summed(layers).items())])


def flat(total: dict[str, npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate([array.ravel() for _, array in sorted(total.items())])


def l2(vector: npt.NDArray[np.int64]) -> float:
    return float(np.sqrt(np.square(vector.astype(np.float64)).sum()))


@pytest.mark.parametrize("clip", [0.01, 1.0, 1e9])
def test_the_sum_is_that_of_explicit_gradients_clipped_one_by_one(clip: float) -> None:
    rows = slice(0, 60)
    explicit = np.zeros(SIZE)
    for row in range(60):
        gradient = gradient_of(row, INPUTS)
        explicit += gradient * min(1.0, clip / float(np.linalg.norm(gradient))) / clip
    found = flat(clipped_sum(PARAMETERS, INPUTS[rows], FLOWS.family[rows], clip))
    assert np.abs(found - explicit * UNITS).max() <= 0.51


def test_a_gradient_below_the_bound_stays_and_one_above_is_scaled_to_it() -> None:
    layers, _ = backward(PARAMETERS, INPUTS[:50].astype(np.float64), FLOWS.family[:50], np.ones(50))
    exact = np.array([np.linalg.norm(gradient_of(row, INPUTS)) for row in range(50)])
    middle = float(np.median(exact))
    scaled = clipped(layers, middle)
    norms = np.sqrt(sum((np.square(a).sum(axis=1) + 1) * np.square(d).sum(axis=1) for a, d in scaled.values()))
    assert norms == pytest.approx(np.minimum(exact / middle, 1), rel=1e-12)


ADVERSARIAL = {
    "huge": np.full(INPUTS.shape[1], 3e4, dtype=np.float32),
    "tiny": np.full(INPUTS.shape[1], 1e-30, dtype=np.float32),
    "one large": np.eye(INPUTS.shape[1], dtype=np.float32)[3] * 1e6,
    "alternating": np.where(np.arange(INPUTS.shape[1]) % 2, -6, 6).astype(np.float32),
    "overflow": np.full(INPUTS.shape[1], 3e38, dtype=np.float32),
    "infinite": np.full(INPUTS.shape[1], np.inf, dtype=np.float32),
    "no number": np.full(INPUTS.shape[1], np.nan, dtype=np.float32),
}


@pytest.mark.parametrize("row", ADVERSARIAL.values(), ids=ADVERSARIAL)
@pytest.mark.parametrize("family", [0, len(FAMILIES) - 1])
def test_one_record_moves_the_rounded_sum_by_at_most_the_sensitivity(row: Float64, family: int) -> None:
    labels = FLOWS.family.astype(np.int64)
    without = flat(clipped_sum(PARAMETERS, INPUTS, labels, 0.5))
    for place in (0, 200, len(INPUTS)):  # every place shifts the blocks of the sum in another way
        inputs, marked = np.insert(INPUTS, place, row, axis=0), np.insert(labels, place, family)
        moved = flat(clipped_sum(PARAMETERS, inputs, marked, 0.5)) - without
        assert l2(moved) <= dpsgd.sensitivity(SIZE)


def test_the_same_record_a_thousand_times_is_a_thousand_contributions() -> None:
    many = np.repeat(INPUTS[:1], 3000, axis=0)
    total = flat(clipped_sum(PARAMETERS, many, np.repeat(FLOWS.family[:1], 3000), 0.01))
    assert l2(total) == pytest.approx(3000 * UNITS, rel=1e-6)


def test_too_many_records_for_one_step_are_refused() -> None:
    with pytest.raises(OutOfRange, match="drew"):
        clipped_sum(PARAMETERS, np.empty((MAX_DRAWN + 1, 0), np.float32), np.empty(MAX_DRAWN + 1, np.int64), 1.0)


def test_every_step_adds_noise_of_the_multiplier_times_the_sensitivity() -> None:
    total = {name: np.zeros(array.shape, dtype=np.int64) for name, array in PARENT.items()}
    noisy = flat(dpsgd.with_noise(total, 1.5, SecretCoins()))
    expected = 1.5 * dpsgd.sensitivity(SIZE)
    assert noisy.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * SIZE))
    assert abs(noisy.mean()) < 5 * expected / np.sqrt(SIZE)


def test_the_noise_reaches_the_update() -> None:
    """Without any pull of the data (a clipping norm of almost nothing against the noise) the update is the noise."""
    once = RecordNoise(clip=0.5, noise_multiplier=100.0, sampling_ppm=500_000, steps=1)
    delta = train_privately(PARENT, INPUTS, FLOWS.family, RATE, noise=once, coins=SecretCoins())
    found = flat({name: array.astype(np.int64) for name, array in delta.items()}) / SCALE
    expected = RATE.learning_rate * 0.5 * 100.0 / (0.5 * len(INPUTS))
    assert found.std() == pytest.approx(expected, rel=0.05)


def test_training_learns_under_noise() -> None:
    delta = train_privately(
        PARENT,
        INPUTS,
        FLOWS.family,
        RATE,
        noise=NOISE,
        coins=SecretCoins(Keystream(bytes(32))),
    )
    trained = {name: add_update(PARENT[name], delta[name]) for name in PARENT}
    guessed = logits(parameters_of(trained), INPUTS).argmax(axis=1)
    assert np.mean(guessed == FLOWS.family) > 0.9


def test_two_trainings_never_draw_the_same() -> None:
    def once() -> dict[str, npt.NDArray[np.int32]]:
        return train_privately(PARENT, INPUTS, FLOWS.family, RATE, noise=NOISE, coins=SecretCoins())

    one, other = once(), once()
    assert all((one[name] != other[name]).mean() > 0.9 for name in PARENT)


def test_without_records_there_is_nothing_to_train() -> None:
    with pytest.raises(TooFewFlows):
        train_privately(PARENT, INPUTS[:0], FLOWS.family[:0], RATE, noise=NOISE, coins=SecretCoins())
    with pytest.raises(TooFewFlows):
        private_means(INPUTS[:0], NOISE, SecretCoins())


def test_means_are_those_of_rows_clipped_one_by_one() -> None:
    rows = np.vstack((INPUTS, np.full((1, INPUTS.shape[1]), 1e9)))
    clip = float(np.median(np.linalg.norm(INPUTS, axis=1)))
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    explicit = (rows * np.minimum(1, clip / norms)).mean(axis=0)
    found = private_means(rows, RecordNoise(clip, 1.0, 1_000_000, 1), Everything())
    assert found == pytest.approx(explicit, abs=clip / UNITS)


def test_a_row_of_the_means_never_exceeds_one_clipping_norm() -> None:
    for row in ADVERSARIAL.values():
        found = private_means(row[None], RecordNoise(0.5, 1.0, 1_000_000, 1), Everything())
        assert np.linalg.norm(found) <= 0.5 * (1 + 1e-12)
