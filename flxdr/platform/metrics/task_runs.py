"""Runs of the workers' tasks: how many, how they ended, how long they took."""

from __future__ import annotations

import time
from typing import Any

from celery.signals import task_postrun, task_prerun
from prometheus_client import Counter, Gauge, Histogram

from flxdr.platform.metrics.processes import INSTRUMENTS

SUCCESS = "success"
RUNS = Counter(
    "flxdr_tasks",
    "Runs of tasks that ended, by how: success, failure, or what else Celery says.",
    ("task", "outcome"),
    registry=INSTRUMENTS,
)
SECONDS = Histogram(
    "flxdr_task_seconds",
    "Seconds that runs of tasks took.",
    ("task",),
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0),
    registry=INSTRUMENTS,
)
IN_PROGRESS = Gauge(
    "flxdr_tasks_in_progress",
    "Runs of tasks that have not ended.",
    ("task",),
    multiprocess_mode="livesum",
    registry=INSTRUMENTS,
)
LAST_SUCCESS = Gauge(
    "flxdr_task_last_success_timestamp_seconds",
    "When a run of the task last ended well, in seconds since 1970.",
    ("task",),
    multiprocess_mode="max",
    registry=INSTRUMENTS,
)
_began: dict[str, float] = {}


@task_prerun.connect
def note_start(task_id: str, task: Any, **_: Any) -> None:
    _began[task_id] = time.perf_counter()
    IN_PROGRESS.labels(task.name).inc()


@task_postrun.connect
def note_end(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    began = _began.pop(task_id, None)
    if began is None:
        return
    IN_PROGRESS.labels(task.name).dec()
    outcome = (state or "unknown").lower()
    RUNS.labels(task.name, outcome).inc()
    SECONDS.labels(task.name).observe(time.perf_counter() - began)
    if outcome == SUCCESS:
        LAST_SUCCESS.labels(task.name).set_to_current_time()
