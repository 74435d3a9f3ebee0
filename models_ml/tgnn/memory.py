"""What a host remembers: sums over its earlier events that decay with half-lives from a minute to six hours.

`y_p = 2^(-gap_p / half-life) y_(p-1) + w_p` over a host's events. Rows are cut into blocks of about the square root of
their number; all blocks advance together, then what each hands to the next is added. So there are O(sqrt(m)) steps in
Python and no power of two beyond 1, whatever the time span is.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

HALF_LIVES = (60.0, 600.0, 3600.0, 21600.0)
"""Seconds."""


def decay(gaps: Float64) -> Float32:
    """What is left after `gaps` (m,) seconds: (m, len(HALF_LIVES)); nothing after infinity."""
    return np.asarray(np.exp2(-gaps[:, None] / np.array(HALF_LIVES)), dtype=np.float32)


def decayed_sums(weights: Float32, kept: Float32) -> Float32:
    """The sums after every event, (m, quantities, len(HALF_LIVES)), for rows sorted by host and time.

    Args:
        weights: (m, quantities, len(HALF_LIVES)) what an event adds.
        kept: (m, len(HALF_LIVES)) what is left at an event of the sum of the event before, 0 for a host's first event.
    """
    count = len(weights)
    if not count:
        return weights
    length = math.isqrt(count - 1) + 1
    blocks = -(-count // length)
    shape = (blocks, length, *weights.shape[1:])
    sums = np.zeros((blocks * length, *weights.shape[1:]), dtype=np.float32)
    sums[:count] = weights
    sums = np.ascontiguousarray(sums.reshape(shape).swapaxes(0, 1))
    carried = np.zeros((blocks * length, 1, kept.shape[1]), dtype=np.float32)
    carried[:count, 0] = kept
    carried = np.ascontiguousarray(carried.reshape(blocks, length, 1, -1).swapaxes(0, 1))
    for step in range(1, length):
        sums[step] += carried[step] * sums[step - 1]
        carried[step] *= carried[step - 1]
    before = np.zeros_like(sums[0])
    for block in range(1, blocks):
        before[block] = sums[-1, block - 1] + carried[-1, block - 1] * before[block - 1]
    sums += carried * before
    return np.ascontiguousarray(sums.swapaxes(0, 1)).reshape(blocks * length, *weights.shape[1:])[:count]
