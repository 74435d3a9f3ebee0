"""One result whatever the order of arrival, the number of BLAS threads and the kernel that BLAS chooses."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.aggregation import registry
from federation.aggregation.cohort import Cohort
from federation.aggregation.engine import aggregate
from federation.aggregation.strategy import Strategy
from tests.aggregation.cohorts import cohort, shuffled

CHOICES: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in registry.MEANS] + [
    (registry.ROBUST, {registry.ROBUST_METHOD: name}) for name in registry.ROBUST_METHODS
]
ROOT = Path(__file__).resolve().parents[2]


def large_and_small() -> Cohort:
    """Thirteen updates over three blocks: ordinary ones, close ones, one at the bound, equal ones."""
    rng = np.random.default_rng(17)
    shared = rng.integers(-(2**22), 2**22, 10_000)
    honest = [shared + rng.integers(-(2**bits), 2**bits, shared.size) for bits in (1, 3, 10, 16, 18, 20, 20, 21, 21)]
    return cohort([*honest, honest[0], -honest[1], np.full(shared.size, 2**27), 60 * honest[2].clip(-(2**20), 2**20)])


def hashes(of: Cohort) -> list[str]:
    """Of every strategy's update and state after two rounds."""
    return [_hash(registry.build(method, params), of) for method, params in CHOICES]


def _hash(strategy: Strategy, of: Cohort) -> str:
    first = aggregate(strategy, of)
    second = aggregate(strategy, of, tuple(first.state))
    return hashlib.sha256(second.update.tobytes() + second.state.tobytes()).hexdigest()


def test_one_hash_over_a_hundred_orders() -> None:
    of = large_and_small()
    expected = hashes(of)
    assert len(set(expected)) == len(expected)
    rng = random.Random(23)
    for _ in range(100):
        assert hashes(shuffled(of, rng.sample(range(of.count), of.count))) == expected


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("kernel", ["Haswell", "Nehalem"])
def test_one_hash_on_other_kernels_and_thread_counts(kernel: str, threads: str) -> None:
    environment = os.environ | {
        "OPENBLAS_CORETYPE": kernel,
        "OPENBLAS_NUM_THREADS": threads,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    code = "from tests.aggregation.test_machines import *; print(*hashes(large_and_small()), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == hashes(large_and_small())
