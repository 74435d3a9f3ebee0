"""The network of one simulated organisation, and how its patterns of traffic turn into edge streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import PROTOCOLS, STATES, EdgeStream
from models_ml.families import index_of

Hosts = npt.NDArray[np.uint64]
Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Site:
    """Hosts of an organisation and what is particular about its traffic.

    Attributes:
        clients, servers: hosts inside.
        outside: hosts outside that its users turn to.
        volume: factor on the bytes of its benign traffic.
        cloud, office: how much of its benign traffic is web or file and mail service; the rest is housekeeping.
    """

    name: str
    rng: np.random.Generator
    clients: Hosts
    servers: Hosts
    outside: Hosts
    volume: float
    cloud: float
    office: float

    def times(self, start: float, end: float, count: int) -> Times:
        """`count` moments in working-day density: uniform, thinned at night."""
        moments = self.rng.uniform(start, end, 4 * count)
        by_day = 0.55 + 0.45 * np.sin((moments % 86400) / 86400 * 2 * np.pi - np.pi / 2)
        kept = moments[self.rng.uniform(size=len(moments)) < by_day][:count]
        return np.sort(kept)

    def strangers(self, count: int) -> Hosts:
        """Hosts outside that nobody inside has dealt with."""
        return random_hosts(self.rng, count)

    def sizes(self, median: float, spread: float, count: int) -> npt.NDArray[np.int64]:
        """Log-normal byte counts."""
        return np.rint(self.rng.lognormal(np.log(median), spread, count)).astype(np.int64)

    def choice(self, values: Any, count: int, weights: Any = None) -> npt.NDArray[Any]:
        return np.asarray(self.rng.choice(values, count, p=weights))


def random_hosts(rng: np.random.Generator, count: int) -> Hosts:
    return rng.integers(0, 2**64, count, dtype=np.uint64)


def flows(
    site: Site,
    family: str,
    *,
    t: Times,
    src: Any,
    dst: Any,
    port: Any,
    proto: str = "tcp",
    state: Any = "SF",
    duration: Any = np.nan,
    bytes_out: Any = 0,
    bytes_in: Any = 0,
    overhead: int = 5,
) -> EdgeStream:
    """Records at `t`; every other column is a scalar or an array of that length.

    Packets follow from the bytes (about 900 in each) plus `overhead` for opening and closing.
    """
    states = np.broadcast_to(np.asarray(state), t.shape)
    out, back = np.broadcast_to(bytes_out, t.shape), np.broadcast_to(bytes_in, t.shape)
    columns: Mapping[str, Any] = {
        "t": np.round(t, 6),
        "src": np.broadcast_to(src, t.shape),
        "dst": np.broadcast_to(dst, t.shape),
        "port": np.broadcast_to(port, t.shape),
        "proto": np.full(t.shape, PROTOCOLS.index(proto)),
        "duration": np.round(np.broadcast_to(duration, t.shape), 6),
        "bytes_out": out,
        "bytes_in": back,
        "packets": overhead + (out + back) // 900,
        "state": [STATES.index(name) for name in states],
        "family": np.full(t.shape, index_of(family)),
        "capture": np.zeros(t.shape),
    }
    return EdgeStream.from_columns(columns, (site.name,))
