"""Streams and models for the tests of the temporal graph network."""

from __future__ import annotations

import numpy as np

from models_ml.codec import Int32
from models_ml.edge_stream import EdgeStream
from models_ml.families import FAMILIES
from models_ml.registry import MODELS, TGNN
from tests.models_ml.streams import stream


def busy_network(seed: int, count: int, hosts: int = 12, seconds: float = 7200) -> EdgeStream:
    """Flows between a few hosts, in order of time, so that windows overflow and hosts meet again."""
    rng = np.random.default_rng(seed)
    return stream(
        t=np.sort(rng.uniform(0, seconds, count)),
        src=rng.integers(1, hosts, count),
        dst=rng.integers(1, hosts, count),
        port=rng.choice([22, 53, 443, 8080], count),
        duration=rng.lognormal(0, 1, count),
        bytes_out=rng.integers(0, 3000, count),
        bytes_in=rng.integers(0, 2, count) * rng.integers(1, 9000, count),
        packets=rng.integers(1, 30, count),
        state=rng.integers(0, 5, count),
        family=rng.integers(0, len(FAMILIES), count),
    )


def initial_model() -> dict[str, Int32]:
    """The model before any round."""
    return MODELS[TGNN].initial()
