"""Coordinate-wise median: one organisation, one vote in every coordinate.

u[d] = median(u_1[d], ..., u_N[d]); for even N the mean of the two middle values, rounded half up.

Source: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 1.
Limits: stands fewer than N/2 hostile updates; weights do not count; where honest data differ much, the median leaves
out what only a minority learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import Block, sorted_columns
from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.strategy import Strategy


@dataclass(frozen=True)
class Median(Strategy):
    """Exact coordinate-wise median."""

    name: ClassVar[str] = "median"
    instead: ClassVar[str] = "Wait for more organisations, or choose FedAvg or FedProx, which combine any number."

    def minimum(self) -> int:
        return 3  # of two updates the median is the mean, which stands nothing

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        return Plan(range(cohort.count), median)


def median(block: Block) -> NDArray[np.int32]:
    """The middle value in every coordinate, N vectors of W int32 in, W int32 out."""
    count, size = len(block), len(block[0])
    middle = np.empty(size, dtype=np.int32)
    for span, ascending in sorted_columns(block):
        both = ascending[:, (count - 1) // 2].astype(np.int64) + ascending[:, count // 2]
        middle[span] = (both + 1) >> 1
    return middle
