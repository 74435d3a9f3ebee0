"""Coordinate-wise trimmed mean.

In every coordinate the k lowest and the k highest of N values are left out, k = max(1, floor(N trim)), and the other
N - 2k are averaged with equal weights, rounded half up.

Source: Yin et al., "Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates", ICML 2018, definition 2.
Limits: stands at most k hostile updates; weights do not count. k is at least 1, so that few organisations never get the
plain mean under this name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import Block, sorted_columns
from federation.aggregation.cohort import Cohort, Plan
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

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        cut = max(1, cohort.count * self.trim_ppm // MILLION)
        kept = slice(cut, cohort.count - cut)  # never empty: trim < 1/2 and N >= 3

        def trimmed(block: Block) -> NDArray[np.int32]:
            mean = np.empty(len(block[0]), dtype=np.int32)
            for span, ascending in sorted_columns(block):
                sums = ascending[:, kept].sum(axis=1, dtype=np.int64)
                mean[span] = round_half_up_div(sums, kept.stop - kept.start)
            return mean

        return Plan(range(cohort.count), trimmed)
