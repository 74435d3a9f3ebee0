"""How a flow stands to what its hosts did just before: counts over the last minute and the gap to the last contact.

Hosts enter only by being equal or not. Everything looks back in time, never forward, and includes the flow itself;
records of one time count in the order in which they stand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import EdgeStream

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
Hosts = npt.NDArray[np.uint64]

WINDOW = 60.0
"""Seconds that count as recent."""


class Timeline:
    """Records in order of time, for counting per group what lies in the window before each.

    Keys `group * (n + 1) + place in time` are distinct and sorted group by group, so that one binary search finds
    where a record's window begins; they stay below 2^63 for fewer than 3e9 records, whatever the times are.
    """

    def __init__(self, times: Float64, window: float = WINDOW) -> None:
        order = np.argsort(times, kind="stable")
        self._times = times
        self._size = len(times)
        self._place = np.empty(self._size, dtype=np.int64)
        self._place[order] = np.arange(self._size)
        self._window_start = np.searchsorted(times[order], times - window, side="left").astype(np.int64)

    def recent(self, group: Int64, marked: npt.NDArray[np.bool_] | None = None) -> Int64:
        """How many records of the same group lie within the window up to each record (only `marked` ones, if given)."""
        keys = group * (self._size + 1) + self._place
        order = np.argsort(keys, kind="stable")
        ones = np.ones(self._size, dtype=np.int64) if marked is None else marked[order].astype(np.int64)
        before = np.concatenate(([0], np.cumsum(ones)))
        first = np.searchsorted(keys[order], group * (self._size + 1) + self._window_start)
        counts = np.empty(self._size, dtype=np.int64)
        counts[order] = before[1:] - before[first[order]]
        return counts

    def gap(self, group: Int64) -> Float64:
        """Seconds since the group's previous record, infinity for its first."""
        order = np.argsort(group * (self._size + 1) + self._place, kind="stable")
        same = group[order][1:] == group[order][:-1]
        gaps = np.full(self._size, np.inf)
        gaps[order[1:][same]] = np.diff(self._times[order])[same]
        return gaps


def groups_of(*columns: npt.NDArray[Any]) -> Int64:
    """One number per distinct combination of the columns' values."""
    return joined(*map(numbered, columns))


def numbered(column: npt.NDArray[Any]) -> Int64:
    """Numbers (n,) from 0 that are equal where the values are; in order of the values."""
    order = np.argsort(column, kind="stable")  # flows of a host come in runs, which this one makes use of
    values = column[order]
    numbers = np.empty(len(column), dtype=np.int64)
    numbers[order[:1]] = 0
    numbers[order[1:]] = np.cumsum(values[1:] != values[:-1])
    return numbers


def joined(group: Int64, *others: Int64) -> Int64:
    """One number per distinct combination of numbers, each as `numbered` gives them."""
    for other in others:
        group = numbered(group * (other.max(initial=0) + 1) + other)
    return group


def recent_activity(stream: EdgeStream) -> tuple[Int64, Float64]:
    """Counts (n, 5) and gap (n,) of every record.

    The counts are of the last minute: the source's flows, flows between the same two hosts, flows to the destination,
    destinations that the source first turned to, and services (ports) that it first turned to. The gap is in seconds
    since the last flow between the same hosts on the same port.
    """
    return activity_of(stream.t, stream.src, stream.dst, stream.port)


def activity_of(times: Float64, src: Hosts, dst: Hosts, port: npt.NDArray[np.int32]) -> tuple[Int64, Float64]:
    """`recent_activity` of records given by the four columns (n,) that it looks at."""
    timeline = Timeline(times)
    source, destination, door = numbered(src), numbered(dst), numbered(port)
    pair, service = joined(source, destination), joined(source, door)
    counts = np.column_stack(
        (
            timeline.recent(source),
            timeline.recent(pair),
            timeline.recent(destination),
            timeline.recent(source, timeline.gap(pair) > WINDOW),
            timeline.recent(source, timeline.gap(service) > WINDOW),
        )
    )
    return counts, timeline.gap(joined(pair, door))
