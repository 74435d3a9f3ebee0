"""One measured row, and how two things are timed against each other."""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Sequence
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
        peer: median of the peer in `unit`; None where there is none.
        ratio: peer / ours; None where there is no peer.
        unit: of `ours` and `peer`.
        limit: the most that `ours` may be; None where that is no target.
        limit_ratio: the least that `ratio` may be; None where that is no target.
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
        """Whether the target is met, if there is one."""
        return (self.limit is None or self.ours <= self.limit) and (
            self.limit_ratio is None or (self.ratio is not None and self.ratio >= self.limit_ratio)
        )

    @property
    def has_target(self) -> bool:
        """False for a row that only informs."""
        return self.limit is not None or self.limit_ratio is not None

    @property
    def group(self) -> str:
        """The group that the row belongs to: the first part of its name."""
        return self.name.partition(".")[0]

    @property
    def target(self) -> str:
        """The target for people; `-` for a row without one."""
        if self.limit is not None:
            return f"<= {self.limit:g} {self.unit}"
        return "-" if self.limit_ratio is None else f"ratio >= {self.limit_ratio:g}"

    @property
    def result(self) -> str:
        """What the target asks about, for people."""
        if self.limit is None and self.ratio is not None:
            return f"ratio {self.ratio:g}"
        return f"{self.ours:g} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def against_peer(
    name: str,
    *,
    ours: Prepared,
    peer: Prepared,
    limit_ratio: float | None = None,
    note: str,
    repeats: int = 9,
    peer_once: bool = False,
) -> Row:
    """Time ours and the peer alternately in this process, after one unmeasured turn each; medians in milliseconds.

    Args:
        peer_once: a peer that takes very long is timed once, after ours.
    """
    if peer_once:
        (mine,), theirs = _medians([ours], repeats), timed(peer) * 1000
    else:
        mine, theirs = _medians([ours, peer], repeats)
    return Row(name, round(mine, 3), round(theirs, 3), round(theirs / mine, 2), "ms", None, limit_ratio, note)


def alone(name: str, *, ours: Prepared, note: str, repeats: int = 9) -> Row:
    """Time what has no peer and no target, after one unmeasured turn; median in milliseconds."""
    (mine,) = _medians([ours], repeats)
    return Row(name, round(mine, 3), None, None, "ms", None, None, note)


def _medians(prepared: Sequence[Prepared], repeats: int) -> list[float]:
    """Milliseconds that each takes, turn by turn."""
    times: list[list[float]] = [[] for _ in prepared]
    for turn in range(repeats + 1):
        for prepare, measured in zip(prepared, times, strict=True):
            seconds = timed(prepare)
            if turn:
                measured.append(seconds)
    return [statistics.median(measured) * 1000 for measured in times]


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
