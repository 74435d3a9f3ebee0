"""Coordinate-wise median: one organisation, one vote in every coordinate.

u[d] = median(u_1[d], ..., u_N[d]); for even N the mean of the two middle values, rounded half up.

Source: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 1.
Limits: stands fewer than N/2 hostile updates; weights do not count; where honest data differ much, the median leaves
out what only a minority learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from federation.aggregation.blocks import sorted_columns, spans
from federation.aggregation.cohort import Aggregate, Cohort
from federation.aggregation.strategy import Strategy


@dataclass(frozen=True)
class Median(Strategy):
    """Exact coordinate-wise median."""

    name: ClassVar[str] = "median"
    instead: ClassVar[str] = "Wait for more organisations, or choose FedAvg or FedProx, which combine any number."

    def minimum(self) -> int:
        return 3  # of two updates the median is the mean, which stands nothing

    def _combine(self, cohort: Cohort) -> Aggregate:
        update = np.empty(cohort.size, dtype=np.int32)
        lower, upper = (cohort.count - 1) // 2, cohort.count // 2
        for span in spans(cohort.size):
            values = sorted_columns(cohort.updates, span)
            middle = values[:, lower].astype(np.int64) + values[:, upper]
            update[span] = (middle + 1) >> 1
        return Aggregate(update)
