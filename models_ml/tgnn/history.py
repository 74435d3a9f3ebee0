"""Node events in order: which of a host's flows came just before which.

Edge i of a stream makes two node events, 2i of its source and 2i + 1 of its destination. All functions here work on
rows that are sorted by host and, within a host, by time, and look back only; a row is never part of its own window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]

NEIGHBOURS = 10
"""How many of a host's most recent events count as its neighbourhood."""
BLOCK = 1024
"""Rows summed at once."""


@dataclass(frozen=True)
class History:
    """Rows sorted by host.

    Attributes:
        order: (m,) the row at every place.
        place: (m,) the place of every row, the inverse of `order`.
        rank: (m,) how many earlier events the host has, by place.
    """

    order: Int64
    place: Int64
    rank: Int64

    @classmethod
    def of(cls, hosts: npt.NDArray[Any]) -> History:
        """Sort events that stand in order of time by their hosts (m,), any integers."""
        order = np.argsort(hosts, kind="stable").astype(np.int64)
        places = np.arange(len(order))
        place = np.empty_like(places)
        place[order] = places
        starts = np.ones(len(order), dtype=bool)
        starts[1:] = hosts[order[1:]] != hosts[order[:-1]]
        rank = places - np.maximum.accumulate(np.where(starts, places, 0))
        return cls(order=order, place=place, rank=rank)

    def window_counts(self) -> Int64:
        """How many events lie in each place's window, 0 to `NEIGHBOURS`."""
        return np.minimum(self.rank, NEIGHBOURS)

    def window_sums(self, rows: Float32) -> Float32:
        """Sums of `rows` (m, d), by place, over the `NEIGHBOURS` events before each place, of the same host.

        Sums of 2, 4 and 8 neighbouring rows are built from one another, so four additions do; a sum depends on its own
        rows alone and not on where they stand. Blocks stay in a processor's cache, and overlap by a window.
        """
        before = np.empty_like(rows)
        for start in range(0, len(rows), BLOCK):
            first = max(0, start - NEIGHBOURS)
            part = slice(first, start + BLOCK)
            before[start : start + BLOCK] = _before_each(rows[part], self.rank[part])[start - first :]
        return before


def _before_each(rows: Float32, rank: Int64) -> Float32:
    two = _with_earlier(rows, rows, 1, rank)
    four = _with_earlier(two, two, 2, rank)
    ten = _with_earlier(_with_earlier(four, four, 4, rank), two, 8, rank)
    before = np.empty_like(ten)
    before[1:] = ten[:-1]
    before[rank == 0] = 0
    return before


def _with_earlier(rows: Float32, earlier: Float32, distance: int, rank: Int64) -> Float32:
    """Add to every row what stands `distance` rows before it, if that is of the same host."""
    total = np.empty_like(rows)
    total[:distance] = rows[:distance]
    np.add(rows[distance:], earlier[: max(0, len(rows) - distance)], out=total[distance:])
    alone = np.flatnonzero(rank < distance)
    total[alone] = rows[alone]
    return total
