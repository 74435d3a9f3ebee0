"""Cohorts in blocks of coordinates, so that a kernel's memory does not grow with N x D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

WIDTH = 4096  # coordinates a block: N = 200 rows of int64 stay within 6.5 MB


def spans(size: int, width: int = WIDTH) -> Iterator[slice]:
    """Slices that cover `size` coordinates from first to last."""
    for start in range(0, size, width):
        yield slice(start, min(start + width, size))


def rows(updates: Sequence[NDArray[np.int32]], span: slice) -> NDArray[np.int32]:
    """The coordinates of `span` as N rows (int32, C-contiguous)."""
    block = np.empty((len(updates), span.stop - span.start), dtype=np.int32)
    for index, update in enumerate(updates):
        block[index] = update[span]
    return block


def sorted_columns(updates: Sequence[NDArray[np.int32]], span: slice) -> NDArray[np.int32]:
    """The coordinates of `span`, one a row, each row's N values in ascending order (int32, width x N)."""
    block = np.empty((span.stop - span.start, len(updates)), dtype=np.int32)
    for index, update in enumerate(updates):
        block[:, index] = update[span]
    block.sort(axis=1)
    return block
