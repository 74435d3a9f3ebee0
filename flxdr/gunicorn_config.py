"""How gunicorn serves the coordinator; `manage.py up` and the container image both use it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from flxdr.supervisor import die_with_parent

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

worker_class = "flxdr.platform.gunicorn_worker.Worker"
workers = 2
threads = 32  # an agent's long poll holds a thread for up to 25 s
timeout = 60  # of the worker's heartbeat, which a waiting thread does not delay
graceful_timeout = 5  # an agent that loses its long poll asks again
keepalive = 30
# A self-signed ML-DSA-65 token and a signed submission statement are headers of 5 to 8 KB each.
limit_request_field_size = 16_380
limit_request_line = 4_094
# What a proxy says of a client is believed in one place, flxdr.platform.proxy and Django's own setting, and only with
# FL_BEHIND_PROXY; gunicorn would believe it of every peer on a unix socket.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
control_socket_disable = True
errorlog = "-"
loglevel = "warning"


def on_starting(server: Arbiter) -> None:
    """Before the first worker: what an earlier master's workers counted is not this one's."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flxdr.settings")
    from flxdr.platform.metrics.processes import prepare_folder  # noqa: PLC0415 - reads the settings

    prepare_folder()


def child_exit(server: Arbiter, worker: Worker) -> None:
    """What a worker was doing when it ended is not done any more; what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - once the settings named the folder

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def post_fork(server: Arbiter, worker: Worker) -> None:
    """A worker must not outlive its killed master: it would keep the port. It counts into files of its own."""
    from flxdr.platform.metrics.processes import reserve_files  # noqa: PLC0415 - reads the settings

    die_with_parent(server.pid, signal.SIGKILL)
    reserve_files()
