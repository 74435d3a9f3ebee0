"""`python -m benchmarks.scale_worker collect|work ...`: the two halves of a measured round, each a process of its own.

`collect` registers the organisations, starts a round and submits generated updates. `work` is a worker: it says
`ready`, waits for a line, runs what the rows say is due until the new model is proposed, and prints its peak memory.
The environment says which database and which files; everything is real but HTTP and the task queue.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from models_ml.fixed_point import SCALE

IDLE_SECONDS = 0.02
METHODS: dict[str, dict[str, Any]] = {
    "FedAvg": {"aggregation_method": "FedAvg"},
    "FedAdam": {"aggregation_method": "FedAdam"},
    "trimmed_mean": {
        "aggregation_method": "RobustAggregator",
        "aggregation_params": {"robust_method": "trimmed_mean"},
    },
}


def collect(organizations: int, size: int, method: str) -> None:
    """A round of the default model whose collection has ended."""
    from django.core.management import call_command  # noqa: PLC0415 - Django is set up first

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


def work(tasks_at_once: int) -> None:
    """Be a worker, beside others or alone."""
    from django.db import connection  # noqa: PLC0415

    from federation.models import TrainingRound  # noqa: PLC0415
    from federation.services import aggregation, reconcile  # noqa: PLC0415
    from federation.services.queue import AGGREGATE_ROUND, AGGREGATE_SHARD  # noqa: PLC0415
    from flxdr.core.clock import SystemClock  # noqa: PLC0415

    clock = SystemClock()
    services = {AGGREGATE_ROUND: aggregation.aggregate_round, AGGREGATE_SHARD: aggregation.aggregate_shard}

    def run() -> None:
        try:
            while TrainingRound.objects.get().status == "aggregating":
                worked = False
                for task in list(reconcile.due(clock=clock)):
                    worked |= bool(services[task.task](clock=clock, **task.kwargs))  # type: ignore[operator]
                if not worked:
                    time.sleep(IDLE_SECONDS)
        finally:
            connection.close()

    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(tasks_at_once) as pool:
        for thread in [pool.submit(run) for _ in range(tasks_at_once)]:
            thread.result()
    training_round = TrainingRound.objects.get()
    assert training_round.status == "verifying", (training_round.status, training_round.failure_reason)
    print(peak_megabytes("self"))


def peak_megabytes(process: int | str) -> float:
    """The peak resident memory of a process; `ru_maxrss` of a child would begin with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return round(int(found[1]) * 1024 / 1e6, 1)


def main(arguments: Sequence[str]) -> None:
    import django  # noqa: PLC0415

    django.setup()
    match arguments:
        case ["collect", organizations, size, method]:
            collect(int(organizations), int(size), method)
        case ["work", tasks_at_once]:
            work(int(tasks_at_once))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
