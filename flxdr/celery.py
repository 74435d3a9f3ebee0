"""The Celery application: `celery -A flxdr`."""

from __future__ import annotations

import os
import sys
from typing import Any

import structlog
from celery import Celery
from celery.signals import beat_init, setup_logging, task_prerun, worker_init

from flxdr.core.errors import Misconfigured
from flxdr.platform import file_queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")

file_queue.register()
app = Celery("flxdr")
app.set_default()  # for every thread: without it a web thread's `current_app` would be another, unconfigured one
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["federation", "ledger", "flxdr.platform", "flxdr.notifications"])


@setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Celery would replace the handlers that the settings configured."""


@task_prerun.connect
def name_the_task(task_id: str, **_: Any) -> None:
    """Every log line of a task carries its id."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id)


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
