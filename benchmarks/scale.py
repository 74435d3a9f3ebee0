"""Large rounds: memory and time of a worker, what a second one is worth, what a bucket costs, memory of a web process.

Seconds are those from the end of the collection to the proposed model, by workers that have started already.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Row, versions
from benchmarks.scale_uploads import upload_rows
from benchmarks.scale_worker import METHODS
from tests.support.object_store import object_server
from tests.support.services import postgres_database

LIMIT_MB = 400.0
TASKS_AT_ONCE = 2
LARGEST = ((200, 1_000_000), (20, 10_000_000))
CURVE = ((10, 1_000_000), (50, 1_000_000), (100, 1_000_000), (20, 100_000), (20, 1_000_000))
SHARED = (20, 4_000_000)
SHARED_SHARD = 2**23
"""Values of a shard where two workers share a round: ten shards a step, so that neither waits long for the other."""


@dataclass(frozen=True)
class Measured:
    """Of the slowest and the largest worker."""

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.megabytes:g} MB in {self.seconds:.1f} s"


@dataclass(frozen=True)
class Situation:
    """A round and who aggregates it.

    Attributes:
        elsewhere: the workers' machine has none of the files yet, as when a web process elsewhere took them.
    """

    organizations: int
    size: int
    method: str = "FedAvg"
    workers: int = 1
    tasks_at_once: int = TASKS_AT_ONCE
    elsewhere: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.organizations}x{_power(self.size)}"


def rows() -> Iterator[Row]:
    """`scale.*`."""
    yield from _largest()
    yield from _curve()
    yield _second_worker()
    yield _bucket()
    yield from upload_rows()


def _largest() -> Iterator[Row]:
    """One row a size: the largest of the methods' peaks."""
    for organizations, size in LARGEST:
        found = {method: measure(Situation(organizations, size, method)) for method in METHODS}
        name = Situation(organizations, size).name
        note = ", ".join(f"{method} {measured}" for method, measured in found.items())
        yield Row(
            name=f"scale.{name}",
            ours=max(measured.megabytes for measured in found.values()),
            peer=None,
            ratio=None,
            unit="MB",
            limit=LIMIT_MB,
            limit_ratio=None,
            note=f"peak resident memory of a worker with {TASKS_AT_ONCE} tasks at once: {note}; SQLite, files verified "
            f"and read by range; {versions('django', 'numpy')}",
        )
        yield _seconds(name, found["FedAvg"])


def _curve() -> Iterator[Row]:
    for organizations, size in CURVE:
        situation = Situation(organizations, size)
        yield _seconds(situation.name, measure(situation))


def _seconds(name: str, measured: Measured) -> Row:
    note = (
        f"peak {measured.megabytes:g} MB; FedAvg by one worker with {TASKS_AT_ONCE} tasks at once, from the last "
        f"submission to the proposed model; SQLite; {versions('django', 'numpy')}"
    )
    return Row(f"scale.seconds.{name}", round(measured.seconds, 2), None, None, "s", None, None, note)


def _second_worker() -> Row:
    """On PostgreSQL, as workers on several machines need it."""
    organizations, size = SHARED
    found = []
    for workers in (1, 2):
        with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder, postgres_database(Path(folder)) as url:
            environment = {"DATABASE_URL": url, "FL_AGGREGATION_SHARD_VALUES": str(SHARED_SHARD)}
            found.append(
                measure(Situation(organizations, size, workers=workers, tasks_at_once=1, environment=environment))
            )
    one, two = found
    return Row(
        name=f"scale.two_workers.{Situation(organizations, size).name}",
        ours=round(two.seconds, 2),
        peer=round(one.seconds, 2),
        ratio=round(one.seconds / two.seconds, 2),
        unit="s",
        limit=None,
        limit_ratio=None,
        note=f"two worker processes against one, each with one task at a time, {os.cpu_count()} cores; PostgreSQL; "
        f"{one.megabytes:g} MB alone, {two.megabytes:g} MB beside another; {versions('django', 'numpy', 'psycopg')}",
    )


def _bucket() -> Row:
    organizations, size = SHARED
    folder = measure(Situation(organizations, size))
    with object_server() as server:
        bucket = measure(Situation(organizations, size, elsewhere=True, environment=server.environment()))
    return Row(
        name=f"scale.bucket.{Situation(organizations, size).name}",
        ours=round(bucket.seconds, 2),
        peer=round(folder.seconds, 2),
        ratio=round(folder.seconds / bucket.seconds, 2),
        unit="s",
        limit=None,
        limit_ratio=None,
        note="files in a bucket, by a worker that has none of them yet, against files in a folder: what fetching "
        f"{organizations * size * 4 / 1e6:g} MB once costs; the server is moto's, a program in Python on the same "
        f"cores; peak {bucket.megabytes:g} MB; {versions('django-storages', 'boto3', 'moto')}",
    )


def measure(situation: Situation) -> Measured:
    """Collect the round, then time its workers."""
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder, contextlib.ExitStack() as stack:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "flxdr.settings",
            "FL_LOG_LEVEL": "ERROR",
            "OPENBLAS_NUM_THREADS": "1",
            "FL_DATA_DIR": f"{folder}/web",
            **situation.environment,
        }
        program = [sys.executable, "-m", "benchmarks.scale_worker"]
        arguments = [str(situation.organizations), str(situation.size), situation.method]
        subprocess.run([*program, "collect", *arguments], env=environment, check=True)
        if situation.elsewhere:
            environment |= {
                "FL_DATA_DIR": f"{folder}/worker",
                "FL_BLOCKCHAIN_DB_PATH": f"{folder}/web/fl_blockchain.db",
            }
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    [*program, "work", str(situation.tasks_at_once)],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(situation.workers)
        ]
        return _timed(workers)


def _timed(workers: list[subprocess.Popen[str]]) -> Measured:
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n", "a worker did not start"
    start = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    peaks = [float(worker.stdout.readline()) for worker in workers if worker.stdout is not None]
    seconds = time.perf_counter() - start
    for worker in workers:
        assert worker.wait() == 0
    return Measured(seconds, max(peaks))


def _power(size: int) -> str:
    digits = f"{size:e}".split("e")
    return f"{float(digits[0]):g}e{int(digits[1])}"
