"""Bulyan: Krum chooses a set of updates, then every coordinate averages the values around that set's median.

1. S: n - 2f times, the update of the lowest Krum score among those that remain moves into S.
2. u[d] = mean of the n - 4f values of S in coordinate d that are closest to their median, rounded half up; of two
   values equally far from it the lower one counts.

Source: El Mhamdi, Guerraoui and Rouault, "The Hidden Vulnerability of Distributed Learning in Byzantium", ICML 2018; it
needs N >= 4f + 3. What it adds to Krum: a hostile update cannot hide one huge coordinate among many ordinary ones.
Limits: needs many organisations; weights do not count; each value averages only n - 4f of n.

Krum's score of r remaining updates takes their r - f - 2 nearest neighbours; the last choices leave fewer than one, and
then take one. Exact: distances are Python integers (see `gram`), equal scores are decided by the lower digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import sorted_columns, spans
from federation.aggregation.cohort import Aggregate, Cohort
from federation.aggregation.gram import squared_distances
from federation.aggregation.krum import MAX_BYZANTINE
from federation.aggregation.strategy import Parameter, Strategy
from models_ml.fixed_point import round_half_up_div


@dataclass(frozen=True)
class Bulyan(Strategy):
    """Krum's selection and a mean around the median, while at most `byzantine` updates are hostile."""

    byzantine: int = 1

    name: ClassVar[str] = "bulyan"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("byzantine", 1, 1, MAX_BYZANTINE, "hostile updates to withstand"),
    )
    instead: ClassVar[str] = (
        "Lower `byzantine`, wait for more organisations, or choose multi_krum (from 5 updates), median or trimmed_mean "
        "(from 3)."
    )

    def minimum(self) -> int:
        return 4 * self.byzantine + 3

    def _combine(self, cohort: Cohort) -> Aggregate:
        selected = self._selected(squared_distances(cohort.updates), cohort)
        return Aggregate(
            self._around_the_median([cohort.updates[index] for index in selected]),
            {
                index: "farther from its neighbours than the selected updates"
                for index in range(cohort.count)
                if index not in selected
            },
        )

    def _selected(self, distances: NDArray[Any], cohort: Cohort) -> set[int]:
        """The N - 2f updates that Krum chooses one after the other."""
        nearest_first = [sorted(range(cohort.count), key=row.__getitem__) for row in distances.tolist()]
        remaining = set(range(cohort.count))
        while len(remaining) > 2 * self.byzantine:
            neighbours = max(1, len(remaining) - self.byzantine - 2)
            scores = {}
            for index in remaining:
                others = [other for other in nearest_first[index] if other in remaining and other != index]
                scores[index] = sum(distances[index, other] for other in others[:neighbours])
            remaining.remove(min(remaining, key=lambda index: (scores[index], cohort.digests[index])))
        return set(range(cohort.count)) - remaining

    def _around_the_median(self, updates: list[NDArray[np.int32]]) -> NDArray[np.int32]:
        """In every coordinate the mean of all but the 2f values that are farthest from the median.

        In ascending order the values kept are a window. It moves up by one as long as the value that it would gain is
        closer to the median than the one that it would lose: s[k] + s[k + kept] < 2 median, which is monotonic in k.
        """
        count, dropped = len(updates), 2 * self.byzantine
        kept = count - dropped
        update = np.empty(updates[0].size, dtype=np.int32)
        for span in spans(update.size):
            values = sorted_columns(updates, span).astype(np.int64)
            middle = values[:, (count - 1) // 2] + values[:, count // 2]
            start = (values[:, :dropped] + values[:, kept:] < middle[:, None]).sum(axis=1)
            window = start[:, None] + np.arange(kept)
            update[span] = round_half_up_div(np.take_along_axis(values, window, axis=1).sum(axis=1), kept)
        return update
