"""Coordinate-wise trimmed mean.

In every coordinate the k lowest and the k highest of N values are left out, k = max(1, floor(N trim)), and the other
N - 2k are averaged with equal weights, rounded half up.

Source: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 2.
Limits: stands at most k hostile updates; weights do not count. k is at least 1, so that few organisations never get the
plain mean under this name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from federation.aggregation.blocks import sorted_columns, spans
from federation.aggregation.cohort import Aggregate, Cohort
from federation.aggregation.strategy import Parameter, Strategy
from models_ml.fixed_point import round_half_up_div

MILLION = 1_000_000


@dataclass(frozen=True)
class TrimmedMean(Strategy):
    """Exact coordinate-wise mean without the `trim_ppm` millionths at either end."""

    trim_ppm: int = 200_000

    name: ClassVar[str] = "trimmed_mean"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("trim_ppm", 200_000, 1, MILLION // 2 - 1, "share left out at either end, in millionths"),
    )
    instead: ClassVar[str] = "Wait for more organisations, or choose FedAvg or FedProx, which combine any number."

    def minimum(self) -> int:
        return 3  # one value must remain between the two that are left out

    def _combine(self, cohort: Cohort) -> Aggregate:
        update = np.empty(cohort.size, dtype=np.int32)
        cut = max(1, cohort.count * self.trim_ppm // MILLION)
        kept = slice(cut, cohort.count - cut)  # never empty: trim < 1/2 and N >= 3
        for span in spans(cohort.size):
            sums = sorted_columns(cohort.updates, span)[:, kept].sum(axis=1, dtype=np.int64)
            update[span] = round_half_up_div(sums, cohort.count - 2 * cut)
        return Aggregate(update)
