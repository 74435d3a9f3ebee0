"""The weighted mean, on which FedAvg, FedProx and the server optimisers build.

Strategies of this family need no single update, only the weighted sum of all of them.
"""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.fixed_point import Combination, require_total
from federation.aggregation.strategy import Strategy


class WeightedMean(Strategy, ABC):
    """round_half_up(sum(w_i u_i) / sum(w_i)), of any number of updates."""

    instead: ClassVar[str] = "Collect at least one update."

    def minimum(self) -> int:
        return 1

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        weights = cohort.weights.tolist()
        return Plan(range(cohort.count), Combination(weights, require_total(weights)))
