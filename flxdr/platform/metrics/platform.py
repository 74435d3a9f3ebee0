"""The platform's figures: the task queue, the workers, the telemetry outbox, the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from flxdr.core.clock import SystemClock
from flxdr.core.version import VERSION
from flxdr.platform import heartbeat
from flxdr.platform.broker import waiting_messages
from flxdr.platform.metrics.figures import Figure, Sample, Source, register_source
from flxdr.platform.telemetry.selectors import count_waiting, oldest_waiting

INFO = Figure("flxdr_info", "1, with the version that runs.", ("version",))
DISK_FREE = Figure("flxdr_disk_free_bytes", "Bytes that are free where FL_DATA_DIR is.")
DISK_SIZE = Figure("flxdr_disk_size_bytes", "Bytes that the disk with FL_DATA_DIR has.")
QUEUE = Figure("flxdr_queue_messages", "Messages that wait in the task queue; taken ones do not count.")
WORKERS = Figure("flxdr_workers", "Workers that were heard of within three beats.")
HEARTBEAT = Figure(
    "flxdr_worker_heartbeat_age_seconds", "Seconds since a worker last said that it lives; unknown after an hour."
)
OUTBOX = Figure("flxdr_outbox_waiting", "Telemetry events that the sink has not confirmed.")
OUTBOX_AGE = Figure("flxdr_outbox_oldest_age_seconds", "Age of the oldest of these events; 0 where none waits.")


def register() -> None:
    """Let `/metrics` tell them; one source for each thing that may be out of reach."""
    register_source(Source("machine", (INFO, DISK_FREE, DISK_SIZE), machine))
    register_source(Source("queue", (QUEUE,), queue))
    register_source(Source("platform", (WORKERS, HEARTBEAT, OUTBOX, OUTBOX_AGE), rows))


def machine() -> Iterator[Sample]:
    yield INFO.at(1, VERSION)
    disk = shutil.disk_usage(settings.FLXDR.data_dir)
    yield DISK_FREE.at(disk.free)
    yield DISK_SIZE.at(disk.total)


def queue() -> Iterator[Sample]:
    yield QUEUE.at(waiting_messages())


def rows() -> Iterator[Sample]:
    ages = heartbeat.ages()
    yield WORKERS.at(sum(age <= heartbeat.STALE_AFTER for age in ages))
    if ages:
        yield HEARTBEAT.at(ages[0].total_seconds())
    yield OUTBOX.at(count_waiting())
    oldest = oldest_waiting()
    waited = timedelta(0) if oldest is None else SystemClock().now() - oldest.created_at
    yield OUTBOX_AGE.at(max(0.0, waited.total_seconds()))
