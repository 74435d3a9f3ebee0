"""Attacks as they look in flow records; each function gives one campaign of about `count` records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from models_ml.edge_stream import EdgeStream
from models_ml.synthetic.site import Site, flows

Campaign = Callable[[Site, float, float, int], EdgeStream]


def _begin(site: Site, start: float, end: float, lasts: float) -> float:
    return float(site.rng.uniform(start, max(start + 1, end - lasts)))


def scan(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """One host probes many hosts and ports; hardly anybody answers (ATT&CK T1046)."""
    lasts = count * site.rng.uniform(0.05, 0.8)
    t = _begin(site, start, end, lasts) + np.sort(site.rng.uniform(0, lasts, count))
    ports = site.choice((22, 23, 80, 135, 445, 3306, 3389, 8080, 8443, 9200), count)
    ports = np.where(site.rng.uniform(size=count) < 0.4, site.rng.integers(1, 49152, count), ports)
    return flows(
        site,
        "Scan",
        t=t,
        src=site.strangers(1)[0] if site.rng.uniform() < 0.5 else site.choice(site.clients, 1)[0],
        dst=site.choice(np.concatenate((site.clients, site.servers, site.strangers(60))), count),
        port=ports,
        state=site.choice(("S0", "REJ", "RSTOS0", "SF"), count, (0.66, 0.26, 0.05, 0.03)),
        duration=np.where(site.rng.uniform(size=count) < 0.6, np.nan, site.rng.lognormal(-5, 1.0, count)),
        overhead=int(site.rng.integers(1, 3)),
    )


def brute_force(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """Log-ins tried one after the other at one server (T1110)."""
    t = _begin(site, start, end, 4 * count) + np.cumsum(site.rng.exponential(site.rng.uniform(0.5, 3.5), count))
    return flows(
        site,
        "BruteForce",
        t=t,
        src=site.strangers(1)[0],
        dst=site.choice(site.servers, 1)[0],
        port=site.choice((22, 3389, 21), 1)[0],
        state=site.choice(("SF", "RSTO", "RSTR", "S1"), count, (0.6, 0.2, 0.15, 0.05)),
        duration=site.rng.lognormal(0.6, 0.4, count),
        bytes_out=site.sizes(1350, 0.2, count),
        bytes_in=site.sizes(1900, 0.2, count),
        overhead=18,
    )


def lateral_movement(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """A taken host logs in to its neighbours with stolen credentials and copies tools (T1021)."""
    t = _begin(site, start, end, 20 * count) + np.cumsum(site.rng.exponential(site.rng.uniform(4, 15), count))
    return flows(
        site,
        "LateralMovement",
        t=t,
        src=site.choice(site.clients, 1)[0],
        dst=site.choice(site.clients, count),
        port=site.choice((445, 135, 5985, 3389), count, (0.5, 0.2, 0.2, 0.1)),
        state=site.choice(("SF", "RSTO", "S1", "REJ"), count, (0.7, 0.12, 0.08, 0.1)),
        duration=site.rng.lognormal(1.2, 0.9, count),
        bytes_out=site.sizes(60000, 1.0, count),
        bytes_in=site.sizes(4500, 0.7, count),
        overhead=14,
    )


def beaconing(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """A bot calls its controller at intervals with some jitter (T1071)."""
    period = site.rng.uniform(15, 90)
    t = _begin(site, start, end, period * count) + period * np.arange(count)
    t = t + site.rng.normal(0, 0.08 * period, count)
    up = site.rng.uniform(size=count) < 0.85
    return flows(
        site,
        "C2",
        t=np.maximum(t, start),
        src=site.choice(site.clients, 1)[0],
        dst=site.strangers(1)[0],
        port=site.choice((443, 8443, 4444, 6667), 1)[0],
        state=np.where(up, "SF", "S0"),
        duration=np.where(up, site.rng.lognormal(-0.5, 0.3, count), np.nan),
        bytes_out=np.where(up, site.sizes(310, 0.15, count), 0),
        bytes_in=np.where(up, site.sizes(190, 0.2, count), 0),
        overhead=6,
    )


def exfiltration(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """Large uploads to a stranger, hardly anything back (T1048)."""
    t = _begin(site, start, end, 120 * count) + np.cumsum(site.rng.exponential(site.rng.uniform(20, 90), count))
    return flows(
        site,
        "Exfiltration",
        t=t,
        src=site.choice(site.clients, 1)[0],
        dst=site.strangers(1)[0],
        port=site.choice((443, 22, 8443), 1)[0],
        state=site.choice(("SF", "S1", "RSTO"), count, (0.85, 0.1, 0.05)),
        duration=site.rng.lognormal(3.5, 0.7, count),
        bytes_out=site.sizes(6e6, 0.9, count),
        bytes_in=site.sizes(7000, 0.5, count),
        overhead=20,
    )


CAMPAIGNS: Mapping[str, Campaign] = MappingProxyType(
    {
        "Scan": scan,
        "BruteForce": brute_force,
        "LateralMovement": lateral_movement,
        "C2": beaconing,
        "Exfiltration": exfiltration,
    }
)
"""Attack by the family that its records carry."""
