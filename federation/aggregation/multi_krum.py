"""Multi-Krum: the mean of the updates that are closest to their nearest neighbours.

u = sum of u_i over the m lowest score(i), divided by m, rounded half up; score(i) = sum of |u_i - u_j|^2 over the N - f
- 2 nearest j, as in Krum.

Source: Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017, which
introduces it beside Krum; it needs N >= 2f + 3. m is N - f unless `keep` says otherwise, the most that leaves room for
f hostile updates. Limits: El Mhamdi, Guerraoui and Rouault ("Fast and Robust Distributed Learning in High Dimension",
SRDS 2020) prove it for m <= N - f - 2; with more, colluders as close to each other as honest updates may be kept, and
then count 1/m each. Weights do not count.

Exact: distances are Python integers (see `gram`), equal scores are decided by the lower digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.fixed_point import Combination
from federation.aggregation.gram import squared_distances
from federation.aggregation.krum import MAX_BYZANTINE, krum_scores
from federation.aggregation.strategy import Parameter, Strategy

MAX_KEEP = 10_000


@dataclass(frozen=True)
class MultiKrum(Strategy):
    """Averages the `keep` best updates while at most `byzantine` are hostile."""

    byzantine: int = 1
    keep: int = 0

    name: ClassVar[str] = "multi_krum"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("byzantine", 1, 1, MAX_BYZANTINE, "hostile updates to withstand"),
        Parameter("keep", 0, 0, MAX_KEEP, "updates to average; 0: all but `byzantine`"),
    )
    needs_products: ClassVar[bool] = True
    instead: ClassVar[str] = (
        "Lower `byzantine` or `keep`, wait for more organisations, or choose median or trimmed_mean (from 3 updates)."
    )

    def minimum(self) -> int:
        return max(2 * self.byzantine + 3, self.keep + self.byzantine)

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        assert products is not None
        scores = krum_scores(squared_distances(products), cohort.count - self.byzantine - 2)
        ranked = sorted(range(cohort.count), key=lambda index: (scores[index], cohort.digests[index]))
        kept = sorted(ranked[: self.keep or cohort.count - self.byzantine])
        return Plan(
            kept,
            Combination([1] * len(kept), len(kept)),
            {
                index: "farther from its neighbours than the averaged updates"
                for index in range(cohort.count)
                if index not in kept
            },
        )
