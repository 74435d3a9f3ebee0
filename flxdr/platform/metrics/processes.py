"""What the web processes and the workers count, each in files of its own that any web process adds up.

The files of one machine (or container: they have process ids of their own) are in one folder under
`FL_DATA_DIR/run/metrics`. A web process tells the requests of its own machine, so that every machine is scraped for
itself, and the tasks of all machines that share the folder: workers serve nothing that could be scraped.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog
from django.conf import settings
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from flxdr.platform.storage.files import ensure_private_folder

_log = structlog.get_logger("flxdr.metrics")
INSTRUMENTS = CollectorRegistry()
"""Everything that processes count; for its names, since the values are in the files."""
OF_TASKS = "flxdr_task"
"""What the names of the workers' metrics begin with."""
MACHINE = "machine"
"""The label that tells on which machine a task ran."""
RESERVED_BYTES = {"counter": 2**18, "histogram": 2**20, "gauge_livesum": 2**16, "gauge_max": 2**16}
"""Of each of a process's files, by what their names begin with: enough for all routes and tasks."""
MEMORY = Path("/dev/shm")  # noqa: S108 - folders in it are made by mkdtemp
FORGOTTEN_AFTER = 7 * 24 * 3600.0
"""Seconds after which the files of another machine that nobody writes any more are removed."""


def make_folder() -> Path:
    """This machine's folder, for processes that count; a command does not need one."""
    own = _own_folder()
    ensure_private_folder(own.parent)
    return ensure_private_folder(own)


def prepare_folder() -> None:
    """Make this machine's folder and remove what ended processes left; called before the processes of a service start.

    Counters of a process that ended while its service runs stay: a sum that falls would look like new events.
    """
    own = make_folder()
    for file in own.glob("*.db"):
        if not _is_alive(int(file.stem.rpartition("_")[2])):
            file.unlink(missing_ok=True)
    for folder in own.parent.iterdir():
        if folder != own and _last_written(folder) < time.time() - FORGOTTEN_AFTER:
            shutil.rmtree(folder, ignore_errors=True)


def reserve_files() -> None:
    """Make this process's files with all their space, before it counts.

    prometheus_client maps files with holes into memory: on a full disk the first count in a hole would end the process
    (SIGBUS). One that starts when there is no room counts where nobody looks, and serves.
    """
    try:
        _reserve(_own_folder())
    except OSError as error:
        folder = tempfile.mkdtemp(prefix="flxdr-metrics-", dir=MEMORY if MEMORY.is_dir() else None)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        _log.warning(
            "no room for this process's counters: they are not scraped until it is restarted", error=str(error)
        )


def _reserve(folder: Path) -> None:
    files = {folder / f"{kind}_{os.getpid()}.db": size for kind, size in RESERVED_BYTES.items()}
    try:
        for path, size in files.items():
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        for path in files:
            path.unlink(missing_ok=True)
        raise


class CountedByProcesses:
    """Collector of what the processes counted."""

    def collect(self) -> Iterator[Metric]:
        own = _own_folder()
        tasks: dict[str, Metric] = {}
        for folder in sorted(own.parent.iterdir()):
            files = [str(file) for file in folder.glob("*.db") if file.stat().st_size]  # just being made: empty
            for metric in MultiProcessCollector.merge(files):  # type: ignore[no-untyped-call]
                if metric.name.startswith(OF_TASKS):
                    whole = tasks.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                    whole.samples += [_on(folder.name, sample) for sample in metric.samples]
                elif folder == own:
                    yield metric
        yield from tasks.values()


def _on(machine: str, sample: Sample) -> Sample:
    return sample._replace(labels={**sample.labels, MACHINE: machine})


def _own_folder() -> Path:
    folder: Path = settings.METRICS_FOLDER
    return folder


def _last_written(folder: Path) -> float:
    return max((file.stat().st_mtime for file in (folder, *folder.glob("*.db"))), default=0.0)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
