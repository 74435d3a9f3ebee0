"""What a host remembers: sums over its earlier events that decay with half-lives from a minute to six hours.

`y_p = 2^(-gap_p / half-life) y_(p-1) + w_p` over a host's events. Where hosts have few events, all advance together,
event by event; a host's sums are then the same to the last bit whatever other hosts there are. Where one has many, rows
are cut into blocks of about the square root of their number; all blocks advance together, then what each hands to the
next is added. Either way there are few steps in Python, and no power of two beyond 1 whatever the time span is.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

HALF_LIVES = (60.0, 600.0, 3600.0, 21600.0)
"""Seconds."""


FEW = 64
"""Events of a host up to which all hosts advance together."""


def decay(gaps: Float64) -> Float32:
    """What is left after `gaps` (m,) seconds: (m, len(HALF_LIVES)); nothing after infinity."""
    return np.asarray(np.exp2(-gaps[:, None] / np.array(HALF_LIVES)), dtype=np.float32)


def decayed_sums(weights: Float32, kept: Float32, rank: npt.NDArray[np.int64]) -> Float32:
    """The sums after every event, (m, quantities, len(HALF_LIVES)), for rows sorted by host and time.

    Args:
        rank: (m,) how many earlier events the host has.
        weights: (m, quantities, len(HALF_LIVES)) what an event adds.
        kept: (m, len(HALF_LIVES)) what is left at an event of the sum of the event before, 0 for a host's first event.
    """
    if int(rank.max(initial=0)) < FEW:
        return _event_by_event(weights, kept, rank)
    count = len(weights)
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


def _event_by_event(weights: Float32, kept: Float32, rank: npt.NDArray[np.int64]) -> Float32:
    sums = weights.copy()
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(np.bincount(rank)) if len(rank) else [0]
    for start, stop in pairwise(ends):
        rows = order[start:stop]
        sums[rows] += kept[rows, None, :] * sums[rows - 1]
    return sums
