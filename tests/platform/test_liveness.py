"""A worker's heartbeat and the beat's tasks renew the file that a probe looks at; nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery.signals import after_task_publish, beat_init, heartbeat_sent, worker_init

from flxdr.env import Env
from flxdr.platform import liveness


@pytest.fixture
def file(tmp_path: Path, env: Callable[..., Env]) -> Path:
    path = tmp_path / "alive"
    env(heartbeat_file=path)
    return path


@pytest.fixture(autouse=True)
def _no_signal_stays_connected() -> Iterator[None]:
    liveness.register()
    yield
    for signal in (heartbeat_sent, after_task_publish):
        signal.disconnect(liveness._renew)


def test_a_worker_renews_it_by_its_heartbeat(file: Path) -> None:
    heartbeat_sent.send(sender=None)
    assert not file.exists()
    liveness._watch_worker()
    after_task_publish.send(sender=None)
    assert not file.exists()
    heartbeat_sent.send(sender=None)
    assert file.exists()


def test_the_beat_renews_it_by_what_the_queue_took(file: Path) -> None:
    liveness._watch_beat()
    heartbeat_sent.send(sender=None)
    assert not file.exists()
    after_task_publish.send(sender=None)
    assert file.exists()


def test_without_a_file_nothing_happens(tmp_path: Path, env: Callable[..., Env]) -> None:
    env(heartbeat_file=None)
    liveness._watch_worker()
    heartbeat_sent.send(sender=None)
    assert list(tmp_path.glob("alive*")) == []


def test_it_waits_for_a_worker_or_a_beat_to_start() -> None:
    for signal, receiver in ((worker_init, liveness._watch_worker), (beat_init, liveness._watch_beat)):
        assert receiver in [found() for _, found in signal.receivers]
