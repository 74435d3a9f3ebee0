"""Whether workers live: each says so in a row of its own, whatever its tasks are busy with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from django.db import DatabaseError, close_old_connections

from flxdr.core.clock import Clock, SystemClock
from flxdr.core.errors import Unavailable
from flxdr.platform.models import WorkerHeartbeat

BEAT = timedelta(seconds=5)
STALE_AFTER = 3 * BEAT
FORGOTTEN_AFTER = timedelta(hours=1)
_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("flxdr.worker")


class NoWorker(Unavailable):
    """Nobody works on what is due."""

    code = "no_worker"
    title = "No worker"


class Pulse:
    """This process's worker saying that it lives, every `BEAT` however often it is asked.

    Args:
        name: of the worker; workers of one machine that share it are told apart by their processes.
    """

    def __init__(self, name: str) -> None:
        self.worker = f"{name} {os.getpid()}"
        self._due = 0.0

    def beat(self) -> None:
        """Say so if it is time; a database that does not answer keeps the worker from nothing else."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + BEAT.total_seconds()
        self._write(beat)

    def stop(self) -> None:
        self._write(retire)

    def _write(self, what: Callable[[str], None]) -> None:
        try:
            what(self.worker)
        except DatabaseError as error:
            _log.warning("heartbeat not written", worker=self.worker, reason=str(error))
        finally:
            close_old_connections()


def beat(worker: str, *, clock: Clock = _SYSTEM_CLOCK) -> None:
    """A worker lives; rows of those that have not for long are removed.

    Args:
        worker: its name, which no other worker of the database has.
    """
    now = clock.now()
    if not WorkerHeartbeat.objects.filter(worker=worker).update(at=now):
        WorkerHeartbeat.objects.bulk_create([WorkerHeartbeat(worker=worker, at=now)], ignore_conflicts=True)
        WorkerHeartbeat.objects.filter(at__lt=now - FORGOTTEN_AFTER).delete()


def retire(worker: str) -> None:
    """A worker has stopped in an orderly way."""
    WorkerHeartbeat.objects.filter(worker=worker).delete()


def ages(*, clock: Clock = _SYSTEM_CLOCK) -> Sequence[timedelta]:
    """How long ago each worker that was heard of within the hour was heard of, the newest first."""
    now = clock.now()
    recent = WorkerHeartbeat.objects.filter(at__gte=now - FORGOTTEN_AFTER).order_by("-at")
    return [now - at for at in recent.values_list("at", flat=True)]


def require_worker(*, clock: Clock = _SYSTEM_CLOCK) -> None:
    """Refuse where no worker lives.

    Raises:
        NoWorker: none was heard of within three beats.
    """
    if not WorkerHeartbeat.objects.filter(at__gte=clock.now() - STALE_AFTER).exists():
        raise NoWorker(
            f"no worker was heard of for {STALE_AFTER.total_seconds():g} s",
            action="Start one: `manage.py up`, or `celery --app flxdr worker`.",
        )
