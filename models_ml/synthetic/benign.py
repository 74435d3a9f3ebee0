"""Benign traffic, with the patterns that a detector must not mistake for an attack: updates polled like a beacon,
backups as large as an exfiltration, monitoring that touches every host, services that are down."""

from __future__ import annotations

import numpy as np

from models_ml.edge_stream import EdgeStream, concat
from models_ml.synthetic.site import Site, flows

_WEB_STATES = ("SF", "S1", "RSTO", "RSTR", "S3")
_WEB_WEIGHTS = (0.82, 0.07, 0.05, 0.04, 0.02)


def benign(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """About `count` records of everyday traffic."""
    web, office = int(site.cloud * count), int(site.office * count)
    rest = count - web - office
    return concat(
        (
            _web(site, start, end, web),
            _office(site, start, end, office),
            _names(site, start, end, int(0.45 * rest)),
            _clocks(site, start, end, int(0.2 * rest)),
            _updates(site, start, end, int(0.15 * rest)),
            _monitoring(site, start, end, int(0.1 * rest)),
            _failures(site, start, end, int(0.1 * rest)),
        )
    )


def _web(site: Site, start: float, end: float, count: int) -> EdgeStream:
    t = site.times(start, end, count)
    n = len(t)
    return flows(
        site,
        "Benign",
        t=t,
        src=site.choice(site.clients, n),
        dst=site.choice(site.outside, n),
        port=site.choice((443, 80), n, (0.9, 0.1)),
        state=site.choice(_WEB_STATES, n, _WEB_WEIGHTS),
        duration=site.rng.lognormal(1.0, 1.6, n),
        bytes_out=site.sizes(1500 * site.volume, 0.9, n),
        bytes_in=site.sizes(14000 * site.volume, 1.6, n),
        overhead=8,
    )


def _office(site: Site, start: float, end: float, count: int) -> EdgeStream:
    t = site.times(start, end, count)
    n = len(t)
    backups = site.rng.uniform(size=n) < 0.06
    return flows(
        site,
        "Benign",
        t=t,
        src=site.choice(site.clients, n),
        dst=site.choice(site.servers, n),
        port=site.choice((445, 22, 389, 993, 5432), n, (0.4, 0.12, 0.15, 0.2, 0.13)),
        state=site.choice(("SF", "S1", "RSTO"), n, (0.92, 0.05, 0.03)),
        duration=np.where(backups, site.rng.lognormal(5.0, 0.8, n), site.rng.lognormal(1.5, 1.5, n)),
        bytes_out=np.where(backups, site.sizes(4e7, 0.8, n), site.sizes(3000 * site.volume, 1.3, n)),
        bytes_in=site.sizes(9000 * site.volume, 1.5, n),
        overhead=10,
    )


def _names(site: Site, start: float, end: float, count: int) -> EdgeStream:
    t = site.times(start, end, count)
    n = len(t)
    answered = site.rng.uniform(size=n) < 0.96
    return flows(
        site,
        "Benign",
        t=t,
        src=site.choice(site.clients, n),
        dst=site.servers[0],
        port=53,
        proto="udp",
        state=np.where(answered, "SF", "S0"),
        duration=np.where(answered, site.rng.lognormal(-4.5, 1.0, n), np.nan),
        bytes_out=site.sizes(42, 0.25, n),
        bytes_in=np.where(answered, site.sizes(130, 0.5, n), 0),
        overhead=2,
    )


def _clocks(site: Site, start: float, end: float, count: int) -> EdgeStream:
    t = site.times(start, end, count)
    n = len(t)
    return flows(
        site,
        "Benign",
        t=t,
        src=site.choice(site.clients, n),
        dst=site.choice(site.outside[:4], n),
        port=123,
        proto="udp",
        duration=site.rng.lognormal(-4.0, 0.6, n),
        bytes_out=48,
        bytes_in=48,
        overhead=2,
    )


def _updates(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """Software that asks its maker for news at fixed intervals."""
    askers = max(1, count // 60)
    streams = []
    for client in site.choice(site.clients, askers):
        period = site.rng.uniform(600, 1800)
        t = np.arange(start + site.rng.uniform(0, period), end, period)[: count // askers]
        n = len(t)
        streams.append(
            flows(
                site,
                "Benign",
                t=t + site.rng.normal(0, 5, n),
                src=client,
                dst=site.choice(site.outside, 1)[0],
                port=443,
                duration=site.rng.lognormal(0.5, 0.5, n),
                bytes_out=site.sizes(1900, 0.2, n),
                bytes_in=site.sizes(6500, 0.5, n),
                overhead=11,
            )
        )
    return concat(streams)


def _monitoring(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """One server that pings all the others in turn."""
    t = np.sort(site.rng.uniform(start, end, count))
    inside = np.concatenate((site.clients, site.servers))
    return flows(
        site,
        "Benign",
        t=t,
        src=site.servers[-1],
        dst=inside[np.arange(count) % len(inside)],
        port=0,
        proto="icmp",
        state="OTH",
        duration=site.rng.lognormal(-5, 0.5, count),
        bytes_out=56,
        bytes_in=56,
        overhead=2,
    )


def _failures(site: Site, start: float, end: float, count: int) -> EdgeStream:
    """Users and programs that turn to what is down or moved."""
    t = site.times(start, end, count)
    n = len(t)
    return flows(
        site,
        "Benign",
        t=t,
        src=site.choice(site.clients, n),
        dst=site.choice(np.concatenate((site.servers, site.outside[:20])), n),
        port=site.choice((443, 80, 445, 8080, 22), n, (0.4, 0.2, 0.2, 0.1, 0.1)),
        state=site.choice(("S0", "REJ", "RSTOS0"), n, (0.6, 0.3, 0.1)),
        duration=site.rng.lognormal(0.5, 1.0, n),
        overhead=3,
    )
