"""The engine: the same result in any portions, on any number of threads, in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from federation.aggregation import blocks, engine, registry
from federation.aggregation.cohort import Cohort
from federation.aggregation.errors import TooManyUpdates
from federation.aggregation.norm_bounding import NormBounding
from federation.aggregation.strategy import Strategy
from tests.aggregation.cohorts import cohort

STRATEGIES: list[Strategy] = [
    *(registry.build(name) for name in registry.MEANS),
    *(registry.build(registry.ROBUST, {registry.ROBUST_METHOD: name}) for name in registry.ROBUST_METHODS),
]


@pytest.fixture
def of() -> Cohort:
    rng = np.random.default_rng(4)
    return cohort(list(rng.integers(-(2**24), 2**24, (11, 20_000))), rng.integers(1, 10**6, 11).tolist())


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_threads_and_portions_change_nothing(strategy: Strategy, of: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine.aggregate(strategy, of, threads=1)
    monkeypatch.setattr(blocks, "_PORTION_VALUES", 1)
    for threads in (1, 2, 5, None):
        again = engine.aggregate(strategy, of, threads=threads)
        assert np.array_equal(again.update, whole.update)
        assert np.array_equal(again.state, whole.state)
        assert again.left_out == whole.left_out


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_ranges_of_coordinates_can_be_combined_apart(strategy: Strategy, of: Cohort) -> None:
    whole = engine.aggregate(strategy, of)
    plan = strategy.plan(of, engine.measure(of))
    pieces = [engine.combine(strategy, plan, of, None, span) for span in blocks.spans(0, of.size, 7777)]
    assert np.array_equal(np.concatenate([piece.update for piece in pieces]), whole.update)
    assert np.array_equal(np.concatenate([piece.state for piece in pieces], axis=1), whole.state)


class Recorder:
    """A vector that writes down which spans were read of it."""

    def __init__(self, values: NDArray[np.int32]) -> None:
        self.dtype, self.shape, self._values = values.dtype, values.shape, values
        self.read: list[slice] = []

    def __getitem__(self, span: slice) -> NDArray[Any]:
        self.read.append(span)
        return self._values[span]


def test_updates_are_read_once_in_portions_and_only_those_that_count(of: Cohort) -> None:
    recorders = [Recorder(update[:]) for update in of.updates]
    krum = registry.build(registry.ROBUST, {registry.ROBUST_METHOD: "krum"})
    products = engine.measure(of)
    chosen = engine.aggregate(krum, Cohort(recorders, of.weights, of.digests), products=products)
    for index, recorder in enumerate(recorders):
        if index in chosen.left_out:
            assert recorder.read == []
        else:
            assert [span.start for span in recorder.read] == [0, *(span.stop for span in recorder.read[:-1])]
            assert recorder.read[-1].stop == of.size


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_memory_does_not_grow_with_the_number_of_updates(strategy: Strategy) -> None:
    """What is allocated beside the inputs stays below a small multiple of one update, for 40 of them."""
    rng = np.random.default_rng(9)
    size = 400_000
    many = cohort(list(rng.integers(-(2**18), 2**18, (40, size), dtype=np.int32)))
    engine.aggregate(strategy, many, threads=2)
    tracemalloc.start()
    try:
        engine.aggregate(strategy, many, threads=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    result = size * (4 + 8 * len(strategy.state_names))
    assert peak < result + 32e6
    assert peak < 40 * size * 4 / 2 + result


def test_more_updates_than_the_exact_sum_holds_are_refused() -> None:
    with pytest.raises(TooManyUpdates, match="at most 4294"):
        NormBounding().require(4295)
    NormBounding().require(4294)
