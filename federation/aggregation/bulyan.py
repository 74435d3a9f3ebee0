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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.blocks import Block, sorted_columns
from federation.aggregation.cohort import Cohort, Plan
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
    needs_products: ClassVar[bool] = True
    instead: ClassVar[str] = (
        "Lower `byzantine`, wait for more organisations, or choose multi_krum (from 5 updates), median or trimmed_mean "
        "(from 3)."
    )

    def minimum(self) -> int:
        return 4 * self.byzantine + 3

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        assert products is not None
        selected = selection(squared_distances(products), cohort.digests, self.byzantine)
        return Plan(
            selected,
            lambda block: around_the_median(block, 2 * self.byzantine),
            {
                index: "farther from its neighbours than the selected updates"
                for index in range(cohort.count)
                if index not in selected
            },
        )


def selection(distances: NDArray[Any], digests: Sequence[str], byzantine: int) -> list[int]:
    """The N - 2f updates that Krum chooses one after the other, in ascending order.

    When one is chosen, every other's score loses one neighbour: the chosen one if that is among those that count, else
    the farthest that does. So a score is updated, not computed again, and the whole costs N^2 log N.
    """
    count = len(digests)
    rows = [_Neighbours(row, index, max(1, count - byzantine - 2)) for index, row in enumerate(distances.tolist())]
    remaining = set(range(count))
    while len(remaining) > 2 * byzantine:
        chosen = min(remaining, key=lambda index: (rows[index].score, digests[index]))
        remaining.remove(chosen)
        wanted = max(1, len(remaining) - byzantine - 2)
        for index in remaining:
            rows[index].lose(chosen, wanted)
    return sorted(set(range(count)) - remaining)


class _Neighbours:
    """The distances of one update to the others that remain, nearest first, of which the first `wanted` count."""

    def __init__(self, distances: list[int], own: int, wanted: int) -> None:
        self._distances = distances
        order = [index for index in range(len(distances)) if index != own]
        self._order = sorted(order, key=distances.__getitem__)
        self._place = {index: place for place, index in enumerate(self._order)}
        self._gone: set[int] = set()
        self._end = wanted  # the first place that does not count
        self._counted = wanted
        self.score = sum(distances[index] for index in self._order[:wanted])

    def lose(self, chosen: int, wanted: int) -> None:
        """Another update was chosen, and from now on `wanted` neighbours count."""
        self._gone.add(chosen)
        if self._place[chosen] < self._end:
            self.score -= self._distances[chosen]
            self._counted -= 1
        while self._counted > wanted:
            self._end -= 1
            if self._order[self._end] not in self._gone:
                self.score -= self._distances[self._order[self._end]]
                self._counted -= 1
        while self._counted < wanted and self._end < len(self._order):
            if self._order[self._end] not in self._gone:
                self.score += self._distances[self._order[self._end]]
                self._counted += 1
            self._end += 1


def around_the_median(block: Block, dropped: int) -> NDArray[np.int32]:
    """In every coordinate the mean of all but the `dropped` values that are farthest from the median.

    In ascending order the values kept are a window. It moves up by one as long as the value that it would gain is
    closer to the median than the one that it would lose: s[k] + s[k + kept] < 2 median, which is monotonic in k.

    Args:
        block: N vectors of W int32.

    Returns:
        W int32.
    """
    count, size = len(block), len(block[0])
    kept = count - dropped
    mean = np.empty(size, dtype=np.int32)
    for span, ascending in sorted_columns(block):
        middle = ascending[:, (count - 1) // 2].astype(np.int64) + ascending[:, count // 2]
        pairs = ascending[:, :dropped].astype(np.int64) + ascending[:, kept:]
        start = (pairs < middle[:, None]).sum(axis=1)
        sums = np.zeros((len(ascending), count + 1), dtype=np.int64)
        np.cumsum(ascending, axis=1, dtype=np.int64, out=sums[:, 1:])
        place = np.arange(len(ascending))
        mean[span] = round_half_up_div(sums[place, start + kept] - sums[place, start], kept)
    return mean
