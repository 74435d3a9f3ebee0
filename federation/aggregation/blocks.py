"""Cohorts in blocks of coordinates, so that a kernel's memory does not grow with N x D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.vector import Vector

Block = Sequence[NDArray[np.int32]]
"""W coordinates of M updates: M vectors of W int32."""
WIDTH = 4096  # coordinates that a kernel works on at once: N = 50 rows of int64 stay within the second-level cache
_PORTION_VALUES = 2**20
_WIDEST = 2**16


def spans(start: int, stop: int, width: int = WIDTH) -> Iterator[slice]:
    """Slices that cover the coordinates from `start` to `stop`, in order."""
    for first in range(start, stop, width):
        yield slice(first, min(first + width, stop))


def portion(count: int) -> int:
    """How many coordinates of `count` updates are read at once: about 2^20 values (4 MiB), one width at least."""
    return min(max(_PORTION_VALUES // count // WIDTH, 1) * WIDTH, _WIDEST)


def block_of(updates: Sequence[Vector], span: slice) -> Block:
    """The coordinates of `span`: views of arrays, or what was read of files."""
    return [update[span] for update in updates]


def sorted_columns(block: Block) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """A block part by part: the part's place, and its coordinates as rows, each row's N values in ascending order
    (int32, width x N)."""
    for span in spans(0, len(block[0])):
        part = np.empty((span.stop - span.start, len(block)), dtype=np.int32)
        for index, values in enumerate(block):  # several times as fast as copying a transposed matrix
            part[:, index] = values[span]
        part.sort(axis=1)
        yield span, part
