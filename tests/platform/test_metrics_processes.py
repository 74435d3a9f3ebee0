"""What several processes count becomes one sum, which ended processes do not lower; tasks are told by machine."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from celery.signals import task_postrun, task_prerun
from django.conf import LazySettings
from prometheus_client import Metric

from flxdr.platform.metrics import processes, task_runs
from flxdr.platform.metrics.processes import (
    FORGOTTEN_AFTER,
    RESERVED_BYTES,
    CountedByProcesses,
    make_folder,
    prepare_folder,
    reserve_files,
)
from flxdr.platform.tasks import purge_tokens

COUNTING = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from prometheus_client import Counter, Gauge
Counter("flxdr_http_requests", "Requests.", ("route",)).labels("healthz").inc(3)
Counter("flxdr_tasks", "Runs.", ("task",)).labels("reconcile").inc(2)
Gauge("flxdr_http_requests_in_progress", "Now.", ("method",), multiprocess_mode="livesum").labels("GET").set(1)
print(os.getpid())
"""


@pytest.fixture
def own(tmp_path: Path, settings: LazySettings) -> Path:
    """This machine's folder, beside which others may be."""
    settings.METRICS_FOLDER = tmp_path / "metrics" / "here"
    prepare_folder()
    folder: Path = settings.METRICS_FOLDER
    return folder


def count(folder: Path) -> int:
    """A process that counts in that folder, and has ended; its id."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run([sys.executable, "-c", COUNTING, folder], capture_output=True, text=True, check=True)
    return int(done.stdout)


def samples() -> Mapping[tuple[str, tuple[tuple[str, str], ...]], float]:
    families: list[Metric] = list(CountedByProcesses().collect())
    assert len({family.name for family in families}) == len(families), "one family of each name"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


RESERVED_AND_COUNTING = """
import os
from flxdr.platform.metrics.processes import reserve_files
reserve_files()
from flxdr.platform.metrics.requests import IN_PROGRESS, RECEIVED, REQUESTS, SECONDS
from flxdr.platform.metrics.task_runs import LAST_SUCCESS, RUNS
REQUESTS.labels("GET", "healthz", "2xx").inc(3)
RUNS.labels("reconcile", "success").inc(2)
SECONDS.labels("GET", "healthz").observe(1)
IN_PROGRESS.labels("GET").set(1)
LAST_SUCCESS.labels("reconcile").set(5)
print(os.getpid())
"""


def test_the_files_of_a_process_have_all_their_space_before_it_counts(tmp_path: Path) -> None:
    """A hole in a mapped file is a deadly one when the disk is full."""
    environment = {**os.environ, "FL_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "flxdr.settings"}
    prepare = "from flxdr.platform.metrics.processes import prepare_folder; prepare_folder()"
    for text in (prepare, RESERVED_AND_COUNTING):
        subprocess.run([sys.executable, "-c", text], env=environment, check=True)
    files = list((tmp_path / "run" / "metrics").rglob("*.db"))
    assert {file.stem.rpartition("_")[0] for file in files} == set(RESERVED_BYTES), "every kind that is counted"
    for file in files:
        status = file.stat()
        assert status.st_size == RESERVED_BYTES[file.stem.rpartition("_")[0]]
        assert status.st_blocks * 512 >= status.st_size, "no holes"


def test_a_process_that_finds_no_room_counts_where_nobody_looks(
    own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(processes, "MEMORY", tmp_path)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(own))
    monkeypatch.setattr(os, "posix_fallocate", full)
    reserve_files()
    assert list(own.glob("*.db")) == []
    elsewhere = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    assert elsewhere.parent == tmp_path
    count(elsewhere)
    assert samples() == {}


def test_processes_are_added_up(own: Path) -> None:
    count(own)
    count(own)
    found = samples()
    assert found["flxdr_http_requests_total", (("route", "healthz"),)] == 6
    assert found["flxdr_tasks_total", (("machine", "here"), ("task", "reconcile"))] == 4


def test_of_other_machines_only_tasks_are_told(own: Path) -> None:
    count(own)
    count(own.with_name("worker-1"))
    found = samples()
    assert found["flxdr_http_requests_total", (("route", "healthz"),)] == 3
    assert found["flxdr_tasks_total", (("machine", "here"), ("task", "reconcile"))] == 2
    assert found["flxdr_tasks_total", (("machine", "worker-1"), ("task", "reconcile"))] == 2


def test_a_new_service_forgets_ended_processes_and_keeps_living_ones(own: Path) -> None:
    ended = count(own)
    living = own / f"counter_{os.getpid()}.db"
    living.write_bytes((own / f"counter_{ended}.db").read_bytes())
    prepare_folder()
    assert list(own.glob("*.db")) == [living]
    assert samples()["flxdr_http_requests_total", (("route", "healthz"),)] == 3


def test_a_file_that_is_just_being_made_disturbs_nobody(own: Path) -> None:
    count(own)
    (own / "counter_1.db").touch()
    assert samples()["flxdr_http_requests_total", (("route", "healthz"),)] == 3


def test_machines_of_which_nothing_was_heard_for_a_week_are_forgotten(own: Path) -> None:
    for name, age in (("old", FORGOTTEN_AFTER + 60), ("young", FORGOTTEN_AFTER - 60)):
        count(own.with_name(name))
        for path in (*own.with_name(name).iterdir(), own.with_name(name)):
            then = path.stat().st_mtime - age
            os.utime(path, (then, then))
    prepare_folder()
    assert {folder.name for folder in own.parent.iterdir()} == {"here", "young"}


def test_gunicorn_forgets_what_a_dead_worker_was_doing_and_keeps_what_it_counted(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flxdr import gunicorn_config  # noqa: PLC0415

    class Worker:
        pid = count(own)

    in_progress = ("flxdr_http_requests_in_progress", (("method", "GET"),))
    assert samples()[in_progress] == 1
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(own))
    gunicorn_config.child_exit(None, Worker)
    found = samples()
    assert in_progress not in found
    assert found["flxdr_http_requests_total", (("route", "healthz"),)] == 3


def test_runs_of_tasks_are_counted_by_their_end() -> None:
    task = purge_tokens
    make_folder()

    def runs(outcome: str) -> float:
        return float(task_runs.RUNS.labels(task.name, outcome)._value.get())

    before = {outcome: runs(outcome) for outcome in ("success", "failure")}
    for number, state in enumerate(("SUCCESS", "FAILURE", "FAILURE")):
        task_prerun.send(sender=task, task_id=f"run-{number}", task=task, args=(), kwargs={})
        assert task_runs.IN_PROGRESS.labels(task.name)._value.get() == 1
        task_postrun.send(sender=task, task_id=f"run-{number}", task=task, args=(), kwargs={}, retval=None, state=state)
    assert {outcome: runs(outcome) - before[outcome] for outcome in before} == {"success": 1, "failure": 2}
    assert task_runs.IN_PROGRESS.labels(task.name)._value.get() == 0
    assert task_runs.LAST_SUCCESS.labels(task.name)._value.get() > 1.7e9
