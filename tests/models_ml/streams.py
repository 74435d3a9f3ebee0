"""Edge streams made for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import EdgeStream
from models_ml.families import FAMILIES


def stream(captures: tuple[str, ...] = ("sensor",), **columns: npt.ArrayLike) -> EdgeStream:
    """A stream of the given columns; the others hold plain values."""
    length = len(np.asarray(next(iter(columns.values()))))
    plain: dict[str, Any] = {
        "t": np.arange(length),
        "src": 1,
        "dst": 2,
        "port": 443,
        "proto": 0,
        "duration": 1.0,
        "bytes_out": 100,
        "bytes_in": 200,
        "packets": 4,
        "state": 2,
        "family": 0,
        "capture": 0,
    }
    filled: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(columns.get(name, value)), (length,)) for name, value in plain.items()
    }
    return EdgeStream.from_columns(filled, captures)


def two_families(seed: int, count: int, family: str = "Scan") -> EdgeStream:
    """Benign web sessions and, one in three, unanswered probes of `family`."""
    rng = np.random.default_rng(seed)
    attack = rng.uniform(size=count) < 1 / 3
    return stream(
        t=np.sort(rng.uniform(0, 36000, count)),
        src=rng.integers(0, 20, count),
        dst=rng.integers(100, 150, count),
        port=np.where(attack, rng.integers(1024, 60000, count), 443),
        duration=np.where(attack, np.nan, rng.lognormal(1, 1, count)),
        bytes_out=np.where(attack, 0, rng.lognormal(7, 1, count).astype(int)),
        bytes_in=np.where(attack, 0, rng.lognormal(9, 1, count).astype(int)),
        packets=np.where(attack, 1, 12),
        state=np.where(attack, 0, 2),
        family=np.where(attack, FAMILIES.index(family), 0),
    )
