"""Which faults a run tries: all of them, or a few that a seed chooses.

`make test-faults` sets FAULTS=all. Everywhere else a run tries a sample of the kills, the same ones every time unless
FAULTS_SEED says otherwise, so that one federation on each pair of database and queue is all that has to start.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

import pytest

SEED = int(os.environ.get("FAULTS_SEED", "8"))
ALL = os.environ.get("FAULTS") == "all"
SAMPLED = "test_kills"
SAMPLE = 3
"""On each pair."""


def chosen(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The sample of these tests, in their order."""
    rng = random.Random(SEED)
    pairs: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.stem == SAMPLED and isinstance(item, pytest.Function):
            pairs.setdefault(str(item.callspec.params["stand"]), []).append(item)
    kept = {item for pair in pairs.values() for item in rng.sample(pair, min(SAMPLE, len(pair)))}
    return [item for item in items if item in kept]
