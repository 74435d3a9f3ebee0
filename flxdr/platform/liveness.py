"""A file whose time the worker and the beat renew while they do their work: what a container's probe looks at.

Neither listens on a port. The worker's heartbeat comes from the loop that takes tasks from the queue, and the beat
counts what the queue took from it, so the file grows old when either hangs or has lost the queue for long.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery.signals import after_task_publish, beat_init, heartbeat_sent, worker_init
from django.conf import settings


def register() -> None:
    """Let a worker and a beat that start in this process renew the file."""
    worker_init.connect(_watch_worker)
    beat_init.connect(_watch_beat)


def _watch_worker(**_: Any) -> None:
    heartbeat_sent.connect(_renew)


def _watch_beat(**_: Any) -> None:
    after_task_publish.connect(_renew)


def _renew(**_: Any) -> None:
    file: Path | None = settings.FLXDR.heartbeat_file
    if file is not None:
        file.touch()
