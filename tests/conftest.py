"""What every test stands on: a data folder of its own, and tasks that wait until the test runs them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from celery import current_app
from django.conf import LazySettings
from hypothesis import settings as hypothesis_settings
from rest_framework.test import APIClient

from flxdr.core.clock import ManualClock
from flxdr.env import Env
from tests.faults import sampling

if TYPE_CHECKING:
    from tests.support.object_store import Line, ObjectServer

# An example that waited for a busy processor has not failed.
hypothesis_settings.register_profile("unhurried", deadline=None)
hypothesis_settings.register_profile("many", deadline=None, max_examples=1000)
hypothesis_settings.load_profile("many" if os.environ.get("FAULTS") == "all" else "unhurried")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which faults were tried, so that a run can be repeated."""
    terminalreporter.write_line(f"faults: {'all' if sampling.ALL else 'a sample'} by FAULTS_SEED={sampling.SEED}")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: LazySettings) -> Path:
    """The state of this test alone: keys, blobs, telemetry."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    settings.FLXDR = replace(settings.FLXDR, data_dir=folder)
    return folder


@pytest.fixture(autouse=True)
def _clean_log_context() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def env(settings: LazySettings) -> Callable[..., Env]:
    """Change variables for one test: `env(protection="plain")`; returns the new `Env`."""

    def change(**values: Any) -> Env:
        settings.FLXDR = replace(settings.FLXDR, **values)
        changed: Env = settings.FLXDR
        return changed

    return change


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def api() -> APIClient:
    """A client on this machine, which in development operates without a token."""
    return APIClient(HTTP_HOST="localhost", REMOTE_ADDR="127.0.0.1")


@pytest.fixture
def outsider() -> APIClient:
    """A client somewhere else that proves nothing."""
    return APIClient(HTTP_HOST="localhost", REMOTE_ADDR="192.0.2.7")


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """An S3-compatible server of this test session."""
    from tests.support import object_store  # noqa: PLC0415 - takes a second to load, for few tests

    with object_store.object_server() as server:
        yield server


@pytest.fixture
def bucket(object_server: ObjectServer, env: Callable[..., Env]) -> ObjectServer:
    """An empty bucket, in which the coordinator of this test keeps its files."""
    made = object_server.another()
    env(**made.values())
    return made


@pytest.fixture
def line(bucket: ObjectServer, env: Callable[..., Env]) -> Iterator[Line]:
    """What the coordinator reaches the bucket by."""
    from tests.support.object_store import Line  # noqa: PLC0415

    with Line(bucket.url) as made:
        env(**bucket.values(endpoint=made.url))
        yield made


@dataclass
class SentTasks:
    """Tasks that the code sent by name, in order."""

    waiting: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.waiting]

    def run(self, limit: int = 100) -> int:
        """Run what waits, and what that sends, in this process; returns how many tasks ran."""
        current_app.loader.import_default_modules()
        for ran in range(limit):
            if not self.waiting:
                return ran
            name, args, kwargs = self.waiting.pop(0)
            current_app.tasks[name].run(*args, **kwargs)
        raise AssertionError(f"still sending tasks after {limit}: {self.names}")


@pytest.fixture
def sent_tasks(monkeypatch: pytest.MonkeyPatch) -> SentTasks:
    """Keeps what `current_app.send_task` sends, instead of putting it on the queue."""
    sent = SentTasks()

    def send_task(name: str, args: Any = (), kwargs: Any = None, **_: Any) -> None:
        sent.waiting.append((name, tuple(args or ()), dict(kwargs or {})))

    monkeypatch.setattr(current_app, "send_task", send_task)
    return sent
