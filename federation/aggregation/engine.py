"""Runs strategies over cohorts: reads the updates portion by portion, on as many threads as there are cores.

Every step works on any range of the coordinates: `measure` adds up over ranges, `combine` works in each by itself. So
workers can share a round's coordinates, and the result is the one that a single process finds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from federation.aggregation.blocks import block_of, portion, spans
from federation.aggregation.cohort import Aggregate, Cohort, Plan
from federation.aggregation.gram import ProductSum
from federation.aggregation.gram import products as products_of
from federation.aggregation.strategy import Strategy
from federation.aggregation.vector import Vector

T = TypeVar("T")


@dataclass(frozen=True)
class Combined:
    """A range of W coordinates: the update (int32, units of 2^-24) and the optimiser's state after it (S x W)."""

    update: NDArray[np.int32]
    state: NDArray[np.float64]


def aggregate(
    strategy: Strategy,
    cohort: Cohort,
    state: Sequence[Vector] | None = None,
    *,
    products: NDArray[Any] | None = None,
    threads: int | None = None,
) -> Aggregate:
    """Combine a cohort in this process.

    Args:
        state: the optimiser's vectors (D float64 each, in the order of `state_names`); None to start anew.
        products: what `measure` found, if the caller has it; else it is measured where the strategy needs it.
        threads: None for as many as this process has cores.

    Raises:
        TooFewUpdates, TooManyUpdates: not for this strategy.
        WeightOverflow: the total weight exceeds what the exact accumulator holds.
    """
    strategy.require(cohort.count)
    if products is None and strategy.needs_products:
        products = measure(cohort, threads=threads)
    plan = strategy.plan(cohort, products)
    combined = combine(strategy, plan, cohort, state, threads=threads)
    return Aggregate(combined.update, plan.left_out, combined.state)


def measure(cohort: Cohort, span: slice | None = None, *, threads: int | None = None) -> NDArray[Any]:
    """The inner products of every two updates over a range of coordinates (all, unless given).

    Returns:
        N x N Python integers in units of 2^-48; those of disjoint ranges add up.
    """

    def measured(part: slice) -> NDArray[np.int64]:
        return products_of(block_of(cohort.updates, part))

    total = ProductSum(cohort.count)
    for _, sums in _over(cohort.count, span or slice(0, cohort.size), measured, threads):
        total.add(sums)
    return total.total()


def combine(
    strategy: Strategy,
    plan: Plan,
    cohort: Cohort,
    state: Sequence[Vector] | None = None,
    span: slice | None = None,
    *,
    threads: int | None = None,
) -> Combined:
    """The update and the optimiser's new state over a range of coordinates (all, unless given).

    Args:
        state: the optimiser's vectors (D float64 each); None to start anew.

    Raises:
        ValueError: another number of vectors than the strategy keeps.
    """
    if state is not None and len(state) != len(strategy.state_names):
        raise ValueError(f"{strategy.name} keeps {len(strategy.state_names)} vectors, not {len(state)}")
    whole = span or slice(0, cohort.size)
    members = [cohort.updates[index] for index in plan.members]
    update = np.empty(whole.stop - whole.start, dtype=np.int32)
    after = np.empty((len(strategy.state_names), update.size))

    def combined(part: slice) -> None:
        place = slice(part.start - whole.start, part.stop - whole.start)
        before = np.empty((len(strategy.state_names), part.stop - part.start))
        for vector, initial in enumerate(strategy.initial_state()):
            before[vector] = initial if state is None else state[vector][part]
        update[place], after[:, place] = strategy.step(plan.kernel(block_of(members, part)), before)

    for _ in _over(len(members), whole, combined, threads):
        pass
    return Combined(update, after)


def _over(count: int, span: slice, work: Callable[[slice], T], threads: int | None) -> Iterator[tuple[slice, T]]:
    """Do the work for every portion of the span; results come in the order of the coordinates.

    BLAS keeps to the thread that calls it meanwhile: two levels of threads would only wait for each other.
    """
    parts = list(spans(span.start, span.stop, portion(count)))
    number = min(threads or len(os.sched_getaffinity(0)), len(parts))
    with _thread_pools().limit(limits=1, user_api="blas"):
        if number == 1:
            for part in parts:
                yield part, work(part)
            return
        with ThreadPoolExecutor(number, thread_name_prefix="aggregation") as pool:
            yield from zip(parts, pool.map(work, parts), strict=True)


@cache
def _thread_pools() -> ThreadpoolController:
    """The thread pools of the libraries that this process has loaded; looking for them takes milliseconds."""
    return ThreadpoolController()
