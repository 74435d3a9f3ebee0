"""The task queue on both transports: whether it answers, and what waits in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery
from django.conf import LazySettings
from redis import RedisError

from flxdr.env import Env
from flxdr.platform import file_queue
from flxdr.platform.broker import require_broker, waiting_messages
from tests.support.processes import free_port
from tests.support.services import own_redis_server


def test_redis_that_is_there_and_then_gone(env: Callable[..., Env], tmp_path: Path) -> None:
    with own_redis_server(tmp_path, free_port()) as url:
        env(redis_url=url)
        require_broker()
        assert waiting_messages() == 0
        send(url, {})
        assert waiting_messages() == 2
    with pytest.raises(RedisError):
        require_broker()
    with pytest.raises(RedisError):
        waiting_messages()


def test_files_that_are_there_and_then_gone(settings: LazySettings, tmp_path: Path) -> None:
    folders = {"data_folder_in": "messages", "data_folder_out": "messages"}
    options = {name: str(tmp_path / folder) for name, folder in folders.items()}
    options |= {name: str(tmp_path / name) for name in ("processed_folder", "control_folder")}
    for folder in options.values():
        Path(folder).mkdir(exist_ok=True)
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = options
    require_broker()
    assert waiting_messages() == 0
    file_queue.register()
    send("filesystem://localhost//", options)
    assert waiting_messages() == 2
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": "/nowhere"}
    with pytest.raises(OSError, match="task queue"):
        require_broker()


def send(url: str, options: dict[str, str]) -> None:
    """Two messages that no worker takes."""
    with Celery(set_as_current=False, broker=url) as app:
        app.conf.broker_transport_options = options
        for _ in range(2):
            app.send_task("flxdr.platform.tasks.drain_outbox")
