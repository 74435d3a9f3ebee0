"""What goes wrong in other implementations of Krum, reproduced here, does not go wrong in ours.

`make bench ONLY=faults` shows the same on Flower itself.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.errors import CohortInvalid
from federation.aggregation.krum import Krum
from models_ml.errors import OutOfRange
from models_ml.fixed_point import quantise
from tests.aggregation.cohorts import cohort

SEEDS = range(20)


def models(seed: int, count: int = 10, size: int = 10_000) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """A model N(0, 1), and what organisations made of it with steps of 10^-4; the last one's are ten times as long."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(size, dtype=np.float32)
    steps = [1e-4] * (count - 1) + [1e-3]
    return base, [base + rng.standard_normal(size, dtype=np.float32) * np.float32(step) for step in steps]


def krum_choice(distances: NDArray[np.floating]) -> int:
    """Krum for f = 1: the first of a row's sorted distances is taken for its own."""
    count = len(distances)
    return int(np.sort(distances, axis=1)[:, 1 : count - 2].sum(axis=1).argmin())


def uncentred_distances(vectors: list[NDArray[np.float32]]) -> NDArray[np.floating]:
    """|u|^2 + |v|^2 - 2 uv of whole models in float32, which is how it is often written."""
    stacked = np.stack(vectors)
    squares = np.square(stacked).sum(axis=1)
    distances: NDArray[np.floating] = squares[:, None] + squares[None, :] - 2 * stacked @ stacked.T
    return distances


def exact_distances(vectors: list[NDArray[np.int32]]) -> NDArray[np.floating]:
    """Of the differences themselves; float64 holds these integers' sums exactly."""
    return np.array([[((a - b).astype(np.float64) ** 2).sum() for b in vectors] for a in vectors])


def our_choice(updates: list[NDArray[np.int32]]) -> int:
    (chosen,) = set(range(len(updates))) - set(aggregate(Krum(1), cohort(updates)).left_out)
    return chosen


def test_whole_models_in_float32_are_chosen_by_rounding_and_updates_by_distance() -> None:
    wrong = 0
    for seed in SEEDS:
        base, trained = models(seed)
        updates = [quantise(model.astype(np.float64) - base) for model in trained]
        right = krum_choice(exact_distances(updates))
        assert our_choice(updates) == right
        assert right != len(updates) - 1
        wrong += krum_choice(uncentred_distances(trained)) != right
    assert wrong >= len(SEEDS) // 2


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_cannot_become_an_update(poison: float) -> None:
    """`argmin` takes NaN for the lowest score; here it ends before it begins."""
    scores = np.array([0.1, np.nan, 0.2])
    assert scores.argmin() == 1
    values = np.zeros(5, dtype=np.float32)
    values[3] = poison
    with pytest.raises(OutOfRange):
        quantise(values)


def test_a_cohort_takes_no_floats() -> None:
    honest = [np.full(3, number, dtype=np.float32) for number in range(6)]
    hostile = np.full(3, np.nan, dtype=np.float32)
    with pytest.raises(CohortInvalid):
        Cohort([*honest, hostile], np.ones(7, dtype=np.int64), [str(number) for number in range(7)])
