"""Sums that decay: equal to the recurrence, and safe over any span of time."""

from __future__ import annotations

import numpy as np
import pytest

from models_ml.tgnn.memory import FEW, HALF_LIVES, decay, decayed_sums


@pytest.mark.parametrize("events", [1, 7, FEW, FEW + 1, 500])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 1000, 1001])
def test_sums_are_those_of_the_recurrence(count: int, events: int) -> None:
    rng = np.random.default_rng(count)
    weights = rng.uniform(0, 2, (count, 3, len(HALF_LIVES))).astype(np.float32)
    rank = np.arange(count) % events
    kept = decay(np.where(rank == 0, np.inf, rng.exponential(500, count)))

    sums = decayed_sums(weights, kept, rank)

    current = np.zeros((3, len(HALF_LIVES)))
    for row in range(count):
        current = kept[row].astype(np.float64) * current + weights[row]
        np.testing.assert_allclose(sums[row], current, rtol=1e-5)


def test_half_of_it_is_left_after_a_half_life_and_nothing_after_years() -> None:
    assert decay(np.array([HALF_LIVES[1]]))[0, 1] == np.float32(0.5)
    assert not decay(np.array([1e9, np.inf])).any()
