"""What goes into an aggregation and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.errors import CohortInvalid


@dataclass(frozen=True)
class Cohort:
    """The updates of one round, in any order.

    Attributes:
        updates: N vectors of D int32 in units of 2^-24, each a delta to the round's parent model. They may be
            memory-mapped: strategies read them in blocks and never hold N x D copies.
        weights: N int64, each at least 1 (see `weighting.weights`).
        digests: N texts that name the updates' bytes; they break ties, so that the order of arrival cannot.

    Raises:
        CohortInvalid: no updates, unequal lengths or counts, a dtype other than int32 (which is what makes NaN and
            infinity impossible), or a weight below 1.
    """

    updates: Sequence[NDArray[np.int32]]
    weights: NDArray[np.int64]
    digests: Sequence[str]

    def __post_init__(self) -> None:
        if not self.updates:
            raise CohortInvalid("the cohort holds no updates", expected="at least one update")
        shape = (self.updates[0].size,)
        for index, update in enumerate(self.updates):
            if update.dtype != np.int32 or update.shape != shape:
                raise CohortInvalid(
                    f"update {index} is {update.dtype} of shape {update.shape}",
                    expected=f"int32 of shape {shape}",
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
        return self.updates[0].size


@dataclass(frozen=True)
class Aggregate:
    """The combined update (D int32, units of 2^-24) and, by index into the cohort, who was left out and why."""

    update: NDArray[np.int32]
    left_out: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
