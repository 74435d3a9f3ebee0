"""One measured row, and how two things are timed against each other."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

Prepared = Callable[[], Callable[[], object]]
"""Makes everything that is not to be timed, and returns what is."""


@dataclass(frozen=True)
class Row:
    """A result. `ratio` above 1 means that ours is better.

    Args:
        ours: median in `unit`.
        peer: median of the peer in `unit`; None where the target is a limit.
        ratio: peer / ours; None where the target is a limit.
        unit: of `ours` and `peer`.
        limit: the most that `ours` may be; None where the target is a ratio.
        limit_ratio: the least that `ratio` may be; None where the target is a limit.
        note: inputs and versions.
    """

    name: str
    ours: float
    peer: float | None
    ratio: float | None
    unit: str
    limit: float | None
    limit_ratio: float | None
    note: str

    @property
    def holds(self) -> bool:
        """Whether the target is met."""
        return (self.limit is None or self.ours <= self.limit) and (
            self.limit_ratio is None or (self.ratio is not None and self.ratio >= self.limit_ratio)
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def against_peer(name: str, *, ours: Prepared, peer: Prepared, limit_ratio: float, note: str, repeats: int = 9) -> Row:
    """Time ours and the peer alternately in this process, after one unmeasured turn each; medians in milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for prepare, measured in zip((ours, peer), times, strict=True):
            seconds = timed(prepare)
            if turn:
                measured.append(seconds)
    mine, theirs = (statistics.median(measured) * 1000 for measured in times)
    return Row(name, round(mine, 3), round(theirs, 3), round(theirs / mine, 2), "ms", None, limit_ratio, note)


def timed(prepare: Prepared) -> float:
    """Seconds that the prepared call takes, without collections of garbage that others left."""
    run = prepare()
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    finally:
        gc.enable()


def versions(*distributions: str) -> str:
    """Python's and the named distributions' versions, for notes."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in distributions)])
