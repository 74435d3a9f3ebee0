"""How far a figure of a sample can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import EdgeStream

CONFIDENCE = 0.95
BLOCKS = 20
"""Stretches of time that a capture is cut into for the bootstrap."""
DRAWS = 200

Indices = npt.NDArray[np.intp]


def wilson(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The score interval of a share `hits / trials` (Wilson 1927); (0, 1) without a trial.

    It holds for independent trials. Flows of one burst are not: with few bursts the truth can lie further off.
    """
    if not trials:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, weight = hits / trials, z * z / trials
    centre = (share + weight / 2) / (1 + weight)
    reach = z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return (0.0 if hits == 0 else max(0.0, centre - reach)), (1.0 if hits == trials else min(1.0, centre + reach))


def time_blocks(stream: EdgeStream, blocks: int = BLOCKS) -> list[Indices]:
    """Indices of the records by stretch: each capture in order of time, cut into `blocks` of about equal counts."""
    found: list[Indices] = []
    for capture in np.unique(stream.capture):
        members = np.flatnonzero(stream.capture == capture)
        ordered = members[np.argsort(stream.t[members], kind="stable")]
        found += [part for part in np.array_split(ordered, blocks) if len(part)]
    return found


def block_bootstrap(
    figures: Callable[[Indices], dict[str, float]],
    blocks: list[Indices],
    *,
    seed: int,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of figures, drawing whole blocks with replacement (Kuensch 1989).

    Neighbouring flows belong together; drawing them one by one would make intervals far too narrow.

    Args:
        figures: from indices of records (with repetition) to figures; those that a draw cannot give are missing there.
        blocks: from `time_blocks`.

    Returns:
        (low, high) of each figure that at least nine in ten draws gave.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn: dict[str, list[float]] = {}
    for _ in range(draws):
        chosen = rng.integers(0, len(blocks), len(blocks))
        for name, value in figures(np.concatenate([blocks[index] for index in chosen])).items():
            drawn.setdefault(name, []).append(value)
    tail = 50 * (1 - confidence)
    return {name: _ends(values, tail) for name, values in drawn.items() if len(values) >= 0.9 * draws}


def _ends(values: list[Any], tail: float) -> tuple[float, float]:
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)
