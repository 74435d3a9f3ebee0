"""Krum: the one update that is closest to its nearest neighbours.

score(i) = sum of |u_i - u_j|^2 over the N - f - 2 nearest j; the update of the lowest score is the aggregate.

Source: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017,
section 4; it needs N >= 2f + 3. Limits: all but one organisation's work is left out, so it converges slowly and follows
the most ordinary organisation; weights do not count.

Exact: distances are Python integers (see `gram`), equal scores are decided by the lower digest. It works on deltas: of
whole models the differences would drown in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.gram import squared_distances
from federation.aggregation.strategy import Parameter, Strategy

MAX_BYZANTINE = 1000


@dataclass(frozen=True)
class Krum(Strategy):
    """Chooses one update while at most `byzantine` of them are hostile."""

    byzantine: int = 1

    name: ClassVar[str] = "krum"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("byzantine", 1, 1, MAX_BYZANTINE, "hostile updates to withstand"),
    )
    needs_products: ClassVar[bool] = True
    instead: ClassVar[str] = (
        "Lower `byzantine`, wait for more organisations, or choose median or trimmed_mean (from 3 updates)."
    )

    def minimum(self) -> int:
        return 2 * self.byzantine + 3

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        assert products is not None
        scores = krum_scores(squared_distances(products), cohort.count - self.byzantine - 2)
        chosen = min(range(cohort.count), key=lambda index: (scores[index], cohort.digests[index]))
        return Plan(
            [chosen],
            lambda block: block[0],
            {
                index: "farther from its neighbours than the chosen update"
                for index in range(cohort.count)
                if index != chosen
            },
        )


def krum_scores(distances: NDArray[Any], neighbours: int) -> list[int]:
    """Each update's sum of squared distances to its `neighbours` nearest others (N x N Python integers in, N out)."""
    rows: list[list[int]] = distances.tolist()
    return [sum(sorted(row[:index] + row[index + 1 :])[:neighbours]) for index, row in enumerate(rows)]
