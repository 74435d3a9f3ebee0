"""The memory of a worker that aggregates a large round, by the services themselves, on SQLite.

One process registers the organisations, starts a round and submits generated updates. A fresh one then is the worker:
it runs what the rows say is due, two tasks at once as `manage.py up` does, until the new model is proposed. Its
peak resident memory is the result. Inputs live in a temporary folder only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, versions
from models_ml.fixed_point import SCALE

LIMIT_MB = 400.0
TASKS_AT_ONCE = 2
SIZES = (("200x1e6", 200, 1_000_000), ("20x1e7", 20, 10_000_000))
METHODS: dict[str, dict[str, Any]] = {
    "FedAvg": {"aggregation_method": "FedAvg"},
    "FedAdam": {"aggregation_method": "FedAdam"},
    "trimmed_mean": {
        "aggregation_method": "RobustAggregator",
        "aggregation_params": {"robust_method": "trimmed_mean"},
    },
}


def rows() -> Iterator[Row]:
    """One row a size: the larger of the methods' peaks."""
    for name, organizations, size in SIZES:
        measured = {method: _measure(organizations, size, method) for method in METHODS}
        yield Row(
            name=f"scale.{name}",
            ours=max(peak for peak, _ in measured.values()),
            peer=None,
            ratio=None,
            unit="MB",
            limit=LIMIT_MB,
            limit_ratio=None,
            note="peak resident memory of a worker with "
            f"{TASKS_AT_ONCE} tasks at once: "
            + ", ".join(f"{method} {peak:g} MB in {seconds:.1f} s" for method, (peak, seconds) in measured.items())
            + f"; SQLite, files verified and read by range; {versions('django', 'numpy')}",
        )


def _measure(organizations: int, size: int, method: str) -> tuple[float, float]:
    """Peak MB and seconds of the worker."""
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        environment = {
            **os.environ,
            "FL_DATA_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "flxdr.settings",
            "FL_LOG_LEVEL": "ERROR",
            "OPENBLAS_NUM_THREADS": "1",
        }
        arguments = [str(organizations), str(size), method]
        answers = []
        for part in ("collect", "work"):
            command = [sys.executable, "-m", "benchmarks.scale", part, *arguments]
            done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
            answers.append(done.stdout.split())
        peak, seconds = answers[-1]
        return float(peak), float(seconds)


def _collect(organizations: int, size: int, method: str) -> None:
    """A round of the default model whose collection has ended."""
    from django.core.management import call_command  # noqa: PLC0415

    from federation.services import rounds  # noqa: PLC0415
    from flxdr.core.clock import SystemClock  # noqa: PLC0415
    from tests.support.federation import SimulatedFederation  # noqa: PLC0415

    call_command("migrate", verbosity=0, interactive=False)
    federation = SimulatedFederation(SystemClock())
    federation.enrol(*(f"org-{number}" for number in range(organizations)), algorithm=None)
    started = rounds.start_round(actor="operator", timeout=86_400, clock=federation.clock, **METHODS[method])
    for number, organization in enumerate(federation.organizations):
        rng = np.random.default_rng(number)
        values = np.rint(rng.standard_normal(size, dtype=np.float32) * (0.01 * SCALE)).astype(np.int32)
        organization.submit_delta(started, {"weights": values}, samples=1000 + number)
    started.refresh_from_db()
    assert started.status == "aggregating"


def _work() -> None:
    """Be the worker; print peak MB and seconds."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from django.db import connection  # noqa: PLC0415

    from federation.models import TrainingRound  # noqa: PLC0415
    from federation.services import aggregation, reconcile  # noqa: PLC0415
    from federation.services.queue import AGGREGATE_ROUND, AGGREGATE_SHARD  # noqa: PLC0415
    from flxdr.core.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    services = {AGGREGATE_ROUND: aggregation.aggregate_round, AGGREGATE_SHARD: aggregation.aggregate_shard}

    def run(task: reconcile.Due) -> None:
        try:
            services[task.task](clock=clock, **task.kwargs)  # type: ignore[operator]
        finally:
            connection.close()

    start = time.perf_counter()
    with ThreadPoolExecutor(TASKS_AT_ONCE) as pool:
        while due := list(reconcile.due(clock=clock)):
            list(pool.map(run, due))
    seconds = time.perf_counter() - start
    training_round = TrainingRound.objects.get()
    assert training_round.status == "verifying", (training_round.status, training_round.failure_reason)
    print(_peak_megabytes(), seconds)


def _peak_megabytes() -> float:
    """Of this program alone; `ru_maxrss` of a child begins with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return round(int(found[1]) * 1024 / 1e6, 1)


def _main(arguments: Sequence[str]) -> None:
    import django  # noqa: PLC0415

    django.setup()
    part, organizations, size, method = arguments
    if part == "collect":
        _collect(int(organizations), int(size), method)
    else:
        _work()


if __name__ == "__main__":
    _main(sys.argv[1:])
