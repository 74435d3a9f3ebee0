"""The Celery application: `celery -A flxdr`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import structlog
from celery import Celery
from celery.signals import (
    beat_init,
    heartbeat_sent,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_shutdown,
)

from flxdr.core.errors import Misconfigured
from flxdr.platform import file_queue, liveness

if TYPE_CHECKING:
    from flxdr.platform.heartbeat import Pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")

file_queue.register()
liveness.register()
app = Celery("flxdr")
app.set_default()  # for every thread: without it a web thread's `current_app` would be another, unconfigured one
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["federation", "ledger", "flxdr.platform", "flxdr.notifications"])
_pulses: dict[str, Pulse] = {}


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Celery would replace the handlers that the settings configured."""


@task_prerun.connect
def name_the_task(task_id: str, kwargs: dict[str, Any], **_: Any) -> None:
    """Every log line of a task carries its id, and that of the round it works on."""
    structlog.contextvars.clear_contextvars()
    rounds = {"round_id": kwargs["round_id"]} if "round_id" in kwargs else {}
    structlog.contextvars.bind_contextvars(task_id=task_id, **rounds)


@task_postrun.connect
def forget_the_task(**_: Any) -> None:
    """The thread goes on to other tasks; what it says between two of them belongs to none."""
    structlog.contextvars.clear_contextvars()


@worker_init.connect
@beat_init.connect
def check_before_work(**_: Any) -> None:
    """Refuse to work with a configuration that the web process would refuse.

    Raises:
        SystemExit: the only exception that Celery lets a signal's receiver stop it with.
    """
    from flxdr.checks import refuse_to_boot_misconfigured  # noqa: PLC0415 - needs Django to be set up
    from flxdr.platform.logging import log_to_stdout  # noqa: PLC0415

    log_to_stdout()
    try:
        refuse_to_boot_misconfigured()
    except Misconfigured as error:
        sys.exit(str(error))


@worker_init.connect
def count_from_nothing(**_: Any) -> None:
    """What workers counted that have ended is not this one's."""
    from flxdr.platform.metrics import processes, task_runs  # noqa: F401, PLC0415 - counts by signals of Celery

    processes.prepare_folder()
    processes.reserve_files()


@heartbeat_sent.connect
def say_alive(sender: Any, **_: Any) -> None:
    """Celery's own heartbeat, which a busy pool of tasks does not delay, keeps the worker's row fresh."""
    from flxdr.platform.heartbeat import Pulse  # noqa: PLC0415 - needs the apps

    name = sender.eventer.hostname
    if name not in _pulses:
        _pulses[name] = Pulse(name)
    _pulses[name].beat()


@worker_shutdown.connect
def say_goodbye(**_: Any) -> None:
    """A worker that stops in an orderly way is missed at once."""
    for pulse in _pulses.values():
        pulse.stop()
