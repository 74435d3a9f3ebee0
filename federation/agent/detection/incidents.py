"""From alarms on flows to incidents: one for each source host, family and window of time.

Within a piece everything is done by columns; Python loops over incidents alone, never over flows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import PROTOCOLS, STATES, EdgeStream
from models_ml.families import BENIGN
from models_ml.tgnn.explanation import Driver

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Families = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]
Key = tuple[int, int, int]
_Total = tuple[float, float, int, int, int, int]
Explain = Callable[[int], tuple[Driver, ...]]

SHOWN_FLOWS = 5
"""Flows that an incident shows: those with the highest scores."""
LOOKED_AT = 4 * SHOWN_FLOWS
"""Flows of a piece among which those are chosen that an incident shows."""
MAX_DISTINCT = 4096
"""Up to here the destinations and services of an incident are counted; a count that stands here means at least."""
MAX_OPEN = 20_000
"""Incidents that are held open; beyond that those end that were seen least recently."""


@dataclass(frozen=True)
class Flow:
    """A flow as an alert shows it; hosts are pseudonyms."""

    t: float
    src: int
    dst: int
    port: int
    proto: str
    state: str
    bytes_out: int
    bytes_in: int
    score: float

    @property
    def service(self) -> str:
        """Protocol and port."""
        return f"{self.proto}/{self.port}"


@dataclass
class Incident:
    """Flows of one host in one window that look like one family of attack.

    Args:
        score: the highest of the flows; `embedding` and `drivers` belong to that flow.
        distinct: destinations and ports, up to `MAX_DISTINCT` each.
        listed: flows with a host that the organisation's threat intelligence names.
    """

    host: int
    family: int
    window: int
    first: float
    last: float
    score: float
    flows: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    listed: int = 0
    embedding: Float32 | None = None
    shown: list[Flow] = field(default_factory=list)
    drivers: tuple[Driver, ...] = ()
    destinations: set[int] = field(default_factory=set)
    services: set[int] = field(default_factory=set)

    @property
    def key(self) -> Key:
        return self.host, self.family, self.window


class Incidents:
    """The incidents of a stream that have not ended yet.

    Args:
        window: seconds; windows begin at multiples of it since 1970.
        explain: called for the highest flow of an incident, as long as its piece is the last one.
    """

    def __init__(self, window: float, explain: Explain | None = None, *, max_open: int = MAX_OPEN) -> None:
        self._window = window
        self._explain = explain
        self._max_open = max_open
        self._open: dict[Key, Incident] = {}

    def add(
        self, stream: EdgeStream, family: Families, score: Float64, embedding: Float32 | None, *, minimum: float = 0.0
    ) -> list[Incident]:
        """Take the alarms of a piece: rows of another family than `Benign` with a score of at least `minimum`.

        Returns:
            The incidents that began or grew, by their host.
        """
        rows = np.flatnonzero((family != BENIGN) & (score >= minimum))
        if not len(rows):
            return []
        window = np.floor_divide(stream.t[rows], self._window).astype(np.int64)
        order = np.lexsort((-score[rows], window, family[rows], stream.src[rows]))
        rows, window = rows[order], window[order]
        changes = np.zeros(len(rows), dtype=np.bool_)
        changes[0] = True
        for column in (stream.src[rows], family[rows], window):
            changes[1:] |= column[1:] != column[:-1]
        starts = np.flatnonzero(changes)
        ends = np.append(starts[1:], len(rows))
        alarms = _Alarms.of(stream, rows, score)
        totals = _totals(stream, rows, starts)
        grown = []
        for start, end, of_window, total in zip(
            starts.tolist(), ends.tolist(), window[starts].tolist(), totals, strict=True
        ):
            key = (alarms.src[start], int(family[rows[start]]), of_window)
            incident = self._incident(key, total)
            self._look_at(incident, alarms, start, end, None if embedding is None else embedding[rows[start]])
            grown.append(incident)
        return grown

    def end_before(self, moment: float) -> list[Incident]:
        """The incidents whose window ended before `moment` (seconds since 1970), by their first flow."""
        ended = [key for key in self._open if (key[2] + 1) * self._window <= moment]
        return _by_time(self._open.pop(key) for key in ended)

    def end_surplus(self) -> list[Incident]:
        """The incidents beyond `MAX_OPEN`, those that were seen least recently."""
        surplus = len(self._open) - self._max_open
        if surplus <= 0:
            return []
        oldest = sorted(self._open.values(), key=lambda incident: incident.last)[:surplus]
        return _by_time(self._open.pop(incident.key) for incident in oldest)

    def end_all(self) -> list[Incident]:
        """All incidents, by their first flow."""
        return self.end_before(np.inf)

    def _incident(self, key: Key, total: _Total) -> Incident:
        first, last, bytes_out, bytes_in, listed, flows = total
        known = self._open.get(key)
        if known is None:
            host, family, window = key
            known = self._open[key] = Incident(host, family, window, first=first, last=last, score=-1.0)
        known.first, known.last = min(known.first, first), max(known.last, last)
        known.flows += flows
        known.bytes_out += bytes_out
        known.bytes_in += bytes_in
        known.listed += listed
        return known

    def _look_at(self, incident: Incident, alarms: _Alarms, start: int, end: int, embedding: Float32 | None) -> None:
        """Take in the flows `start` to `end`, which are of one incident, the highest score first."""
        if alarms.score[start] > incident.score:
            incident.score = alarms.score[start]
            incident.embedding = None if embedding is None else embedding.copy()
            if self._explain is not None:
                incident.drivers = self._explain(alarms.row[start])
        for known, values in ((incident.destinations, alarms.dst), (incident.services, alarms.port)):
            known.update(values[start:end])
            while len(known) > MAX_DISTINCT:
                known.pop()
        best = [alarms.flow(place) for place in range(start, min(end, start + LOOKED_AT))]
        incident.shown = _strongest(incident.shown + best) if incident.shown or len(best) > 1 else best


class _Alarms(NamedTuple):
    """The alarms of a piece as lists: most incidents have few flows, and slices of arrays cost more than of lists."""

    row: list[int]
    t: list[float]
    src: list[int]
    dst: list[int]
    port: list[int]
    proto: list[int]
    state: list[int]
    bytes_out: list[int]
    bytes_in: list[int]
    score: list[float]

    @classmethod
    def of(cls, stream: EdgeStream, rows: Rows, score: Float64) -> _Alarms:
        columns = [getattr(stream, name)[rows].tolist() for name in cls._fields[1:-1]]
        return cls._make([rows.tolist(), *columns, score[rows].tolist()])

    def flow(self, place: int) -> Flow:
        return Flow(
            t=self.t[place],
            src=self.src[place],
            dst=self.dst[place],
            port=self.port[place],
            proto=PROTOCOLS[self.proto[place]],
            state=STATES[self.state[place]],
            bytes_out=self.bytes_out[place],
            bytes_in=self.bytes_in[place],
            score=self.score[place],
        )


def _totals(stream: EdgeStream, rows: Rows, starts: Rows) -> Iterator[_Total]:
    """Of each incident: first and last time, bytes out and in, flows that are listed, flows."""
    return zip(
        np.minimum.reduceat(stream.t[rows], starts).tolist(),
        np.maximum.reduceat(stream.t[rows], starts).tolist(),
        np.add.reduceat(stream.bytes_out[rows], starts).tolist(),
        np.add.reduceat(stream.bytes_in[rows], starts).tolist(),
        np.add.reduceat(stream.indicator[rows].astype(np.int64), starts).tolist(),
        np.diff(np.append(starts, len(rows))).tolist(),
        strict=True,
    )


def _strongest(flows: list[Flow]) -> list[Flow]:
    """The highest scores, at first one flow of each destination and service: alike ones tell nothing new."""
    ranked = sorted(flows, key=lambda flow: -flow.score)
    seen: set[tuple[int, str]] = set()
    different: list[Flow] = []
    alike: list[Flow] = []
    for flow in ranked:
        (alike if (flow.dst, flow.service) in seen else different).append(flow)
        seen.add((flow.dst, flow.service))
    return sorted((different + alike)[:SHOWN_FLOWS], key=lambda flow: -flow.score)


def _by_time(incidents: Iterator[Incident]) -> list[Incident]:
    return sorted(incidents, key=lambda incident: (incident.first, incident.host, incident.family))
