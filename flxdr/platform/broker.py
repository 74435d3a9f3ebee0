"""The task queue, looked at from outside: whether it answers, and how much waits in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from celery import current_app
from django.conf import settings

if TYPE_CHECKING:
    import redis

TIMEOUT_SECONDS = 2.0


def require_broker() -> None:
    """Raise an OSError or a RedisError where the queue takes no messages."""
    if settings.FLXDR.redis_url:
        with _client(settings.FLXDR.redis_url) as client:
            client.ping()
    elif not os.access(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"], os.W_OK):
        raise OSError("the folder of the task queue cannot be written")


def waiting_messages() -> int:
    """How many messages wait for a worker; one that a worker has taken does not count."""
    if settings.FLXDR.redis_url:
        with _client(settings.FLXDR.redis_url) as client:
            waiting = client.llen(current_app.conf.task_default_queue)
            assert isinstance(waiting, int)  # the client is no asynchronous one
            return waiting
    folder = Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"])
    return sum(1 for _ in folder.glob(f"*.{current_app.conf.task_default_queue}.msg"))


@contextmanager
def _client(url: str) -> Iterator[redis.Redis]:
    import redis  # noqa: PLC0415 - not where the queue is a folder: it takes a while

    with redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS) as client:
        yield client
