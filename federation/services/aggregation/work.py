"""The engine's work on a range of coordinates, in portions short enough for a lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from federation.aggregation import engine
from federation.aggregation.cohort import Plan
from federation.services.aggregation.inputs import Inputs
from federation.services.aggregation.state import state_before

_PORTION_VALUES = 2**23  # read between two renewals of the lease: less than a second
_PORTION_WIDTH = 2**18  # so that what a strategy needs beside its result is small
_FEWEST = 16


@dataclass(frozen=True)
class Part:
    """The combined update of the coordinates from `start` on, and the optimiser state after it.

    Attributes:
        update: int32 in units of 2^-24; an array, or a vector in its file.
        state: one float64 vector for each of the strategy's state names.
    """

    start: int
    update: Any
    state: Sequence[Any]

    @property
    def nbytes(self) -> int:
        return int(self.update.size) * (4 + 8 * len(self.state))


def ranges(count: int, size: int) -> list[slice]:
    """The coordinates of a round of `count` updates in ranges that one worker each takes; one range: a small round.

    A worker reads at most FL_AGGREGATION_SHARD_VALUES values. What it holds in memory grows with the coordinates, not
    with the updates, so few updates count as 16: else two organisations' ranges would be as wide as half the setting.
    """
    width = max(1, settings.FLXDR.aggregation_shard_values // max(count, _FEWEST))
    return list(_spans(slice(0, size), width))


def measured(inputs: Inputs, span: slice, renew: Callable[[], None]) -> NDArray[Any]:
    """The N x N inner products over the coordinates of `span`, Python integers; the ranges' products add up."""
    products: NDArray[Any] = np.zeros((inputs.cohort.count, inputs.cohort.count), dtype=object)
    for portion in _portions(inputs, span):
        products += engine.measure(inputs.cohort, portion)
        renew()
    return products


def combined(inputs: Inputs, plan: Plan, span: slice, renew: Callable[[], None]) -> Part:
    """The combined update of the coordinates of `span`, and the optimiser state after it."""
    width = span.stop - span.start
    before = state_before(inputs)
    update = np.empty(width, dtype=np.int32)
    state = np.empty((len(inputs.strategy.state_names), width), dtype=np.float64)
    for portion in _portions(inputs, span):
        own = slice(portion.start - span.start, portion.stop - span.start)
        result = engine.combine(inputs.strategy, plan, inputs.cohort, before, portion)
        update[own] = result.update
        if len(state):
            state[:, own] = result.state
        renew()
    return Part(span.start, update, list(state))


def _portions(inputs: Inputs, span: slice) -> Iterator[slice]:
    return _spans(span, max(1, min(_PORTION_WIDTH, _PORTION_VALUES // inputs.cohort.count)))


def _spans(span: slice, width: int) -> Iterator[slice]:
    for start in range(span.start, span.stop, width):
        yield slice(start, min(start + width, span.stop))
