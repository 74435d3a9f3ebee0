"""What goes into an aggregation and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import Block
from federation.aggregation.errors import CohortInvalid
from federation.aggregation.vector import Vector


@dataclass(frozen=True)
class Cohort:
    """The updates of one round, in any order.

    Attributes:
        updates: N vectors of D int32 in units of 2^-24, each a delta to the round's parent model. They may be files:
            the engine reads them span by span and never holds N x D values.
        weights: N int64, each at least 1 (see `weighting.weights`).
        digests: N texts that name the updates' bytes; they break ties, so that the order of arrival cannot.

    Raises:
        CohortInvalid: no updates, unequal lengths or counts, a dtype other than int32 (which is what makes NaN and
            infinity impossible), or a weight below 1.
    """

    updates: Sequence[Vector]
    weights: NDArray[np.int64]
    digests: Sequence[str]

    def __post_init__(self) -> None:
        if not self.updates:
            raise CohortInvalid("the cohort holds no updates", expected="at least one update")
        shape = self.updates[0].shape
        for index, update in enumerate(self.updates):
            if update.dtype != np.int32 or update.shape != shape or len(shape) != 1:
                raise CohortInvalid(
                    f"update {index} is {update.dtype} of shape {update.shape}",
                    expected=f"a vector of int32, of shape {shape} like the first",
                )
        if self.weights.dtype != np.int64 or self.weights.shape != (self.count,) or self.weights.min() < 1:
            raise CohortInvalid("the weights do not fit the updates", expected=f"{self.count} int64 of at least 1")
        if len(self.digests) != self.count:
            raise CohortInvalid(f"{len(self.digests)} digests", expected=f"{self.count}, one an update")

    @property
    def count(self) -> int:
        """N, the number of updates."""
        return len(self.updates)

    @property
    def size(self) -> int:
        """D, the number of coordinates."""
        return self.updates[0].shape[0]


@dataclass(frozen=True)
class Plan:
    """What a strategy decided about a cohort, before any coordinate is combined.

    Attributes:
        members: the updates that the result is made of, by index into the cohort. No other one is read again.
        kernel: combines their values in a block of coordinates: M vectors of W int32 in the order of `members` in, W
            int32 out.
            Every coordinate is combined by itself, so that blocks and machines can share the work in any way.
        left_out: who was left out and why, by index into the cohort.
    """

    members: Sequence[int]
    kernel: Callable[[Block], NDArray[np.int32]]
    left_out: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Aggregate:
    """The combined update (D int32, units of 2^-24), who was left out and why (by index into the cohort), and the
    optimiser's state after this step (S x D float64, S = 0 for a strategy that keeps none)."""

    update: NDArray[np.int32]
    left_out: Mapping[int, str]
    state: NDArray[np.float64]
