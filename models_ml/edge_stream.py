"""Flow records as columns: one edge from a source to a destination per record.

Hosts are 64-bit pseudonyms made by the adapter under a key that stays in the organisation: equal hosts have equal
numbers, and no address is ever held in a stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.families import FAMILIES, UNLABELLED

PROTOCOLS = ("tcp", "udp", "icmp", "other")
STATES = (
    "S0",
    "S1",
    "SF",
    "REJ",
    "S2",
    "S3",
    "RSTO",
    "RSTR",
    "RSTOS0",
    "RSTRH",
    "SH",
    "SHR",
    "OTH",
)
"""Zeek's connection states; a record of another source maps its own onto them."""

_DTYPES: dict[str, npt.DTypeLike] = {
    "t": np.float64,
    "src": np.uint64,
    "dst": np.uint64,
    "port": np.int32,
    "proto": np.int8,
    "duration": np.float64,
    "bytes_out": np.int64,
    "bytes_in": np.int64,
    "packets": np.int64,
    "state": np.int8,
    "family": np.int8,
    "capture": np.int16,
    "indicator": np.bool_,
}
_NOT_GIVEN = np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class EdgeStream:
    """Columns of equal length, one entry a flow.

    Attributes:
        t: start, seconds since 1970 (UTC).
        src, dst: pseudonyms of originator and responder.
        port: the responder's port, 0 where there is none.
        proto: index into `PROTOCOLS`.
        duration: seconds, NaN where it was not measured.
        bytes_out, bytes_in: payload bytes of the originator and of the responder, 0 where unknown.
        packets: packets of both sides.
        state: index into `STATES`.
        family: index into `FAMILIES`, or `UNLABELLED`.
        capture: index into `captures`.
        captures: names of the sensors or capture files that the records come from.
        indicator: whether an indicator of the organisation's own threat intelligence names one of the two hosts; all
            False where it has none. No model reads it: other organisations have other indicators, or none.
    """

    t: npt.NDArray[np.float64]
    src: npt.NDArray[np.uint64]
    dst: npt.NDArray[np.uint64]
    port: npt.NDArray[np.int32]
    proto: npt.NDArray[np.int8]
    duration: npt.NDArray[np.float64]
    bytes_out: npt.NDArray[np.int64]
    bytes_in: npt.NDArray[np.int64]
    packets: npt.NDArray[np.int64]
    state: npt.NDArray[np.int8]
    family: npt.NDArray[np.int8]
    capture: npt.NDArray[np.int16]
    captures: tuple[str, ...] = ("",)
    indicator: npt.NDArray[np.bool_] = field(default_factory=lambda: _NOT_GIVEN)

    def __post_init__(self) -> None:
        if self.indicator is _NOT_GIVEN:
            object.__setattr__(self, "indicator", np.zeros(self.t.shape, dtype=np.bool_))
        shapes = {getattr(self, name).shape for name in COLUMNS}
        if len(shapes) != 1 or len(self.t.shape) != 1:
            raise ValueError(f"columns of an edge stream need one common length, got {shapes}")

    def __len__(self) -> int:
        return len(self.t)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]], captures: tuple[str, ...] = ("",)) -> EdgeStream:
        """Build a stream from sequences named as the columns; each becomes an array of the column's type.

        `indicator` may be left out.
        """
        given = [name for name in COLUMNS if name in columns or name != "indicator"]
        return cls(**{name: np.asarray(columns[name], dtype=_DTYPES[name]) for name in given}, captures=captures)

    @classmethod
    def empty(cls) -> EdgeStream:
        """A stream without records."""
        return cls.from_columns(dict.fromkeys(COLUMNS, ()))

    def select(self, which: npt.NDArray[Any] | slice) -> EdgeStream:
        """The records that a boolean mask, an index array or a slice picks, in that order."""
        return EdgeStream(**{name: getattr(self, name)[which] for name in COLUMNS}, captures=self.captures)

    def labelled(self) -> EdgeStream:
        """The records that carry a family."""
        return self.select(self.family != UNLABELLED)

    def in_time_order(self) -> EdgeStream:
        """The records by time; equal times keep their order."""
        return self.select(np.argsort(self.t, kind="stable"))

    def of_capture(self, name: str) -> EdgeStream:
        """The records of one capture (none, if there is no such capture)."""
        if name not in self.captures:
            return self.select(slice(0, 0))
        return self.select(self.capture == self.captures.index(name))

    def split_by_time(self, fraction: float) -> tuple[EdgeStream, EdgeStream]:
        """Cut at `fraction` of the time between first and last record: (before the cut, from the cut on)."""
        if not len(self):
            return self, self
        start, end = float(self.t.min()), float(self.t.max())
        earlier = self.t < start + fraction * (end - start)
        return self.select(earlier), self.select(~earlier)

    def split_by_count(self, fraction: float) -> tuple[EdgeStream, EdgeStream]:
        """Cut after the first `fraction` of the records in order of time: (earlier, later)."""
        ordered = self.in_time_order()
        cut = int(fraction * len(ordered))
        return ordered.select(slice(None, cut)), ordered.select(slice(cut, None))

    def family_counts(self) -> dict[str, int]:
        """How many records there are of each family that occurs."""
        indices, counts = np.unique(self.family[self.family != UNLABELLED], return_counts=True)
        return {FAMILIES[index]: int(count) for index, count in zip(indices, counts, strict=True)}


COLUMNS = tuple(each.name for each in fields(EdgeStream) if each.name != "captures")


def concat(streams: Sequence[EdgeStream]) -> EdgeStream:
    """All records of `streams` one after the other; captures of equal name become one."""
    if not streams:
        return EdgeStream.empty()
    names = tuple(dict.fromkeys(name for stream in streams for name in stream.captures))
    columns = {name: np.concatenate([getattr(stream, name) for stream in streams]) for name in COLUMNS}
    columns["capture"] = np.concatenate(
        [np.array([names.index(name) for name in s.captures], dtype=np.int16)[s.capture] for s in streams]
    )
    return EdgeStream(**columns, captures=names)
