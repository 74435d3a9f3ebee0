"""`manage.py up`: a whole coordinator on this machine.

The system checks, which run before it, say loudly what development mode leaves open.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from flxdr.supervisor import AlreadyRunning, Service, Supervisor, exclusive


class Command(BaseCommand):
    help = "Migrate, then run the web server, the worker and the beat; restart what dies, stop all of it on SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.FLXDR.backend_host, help="address to serve (%(default)s)")
        parser.add_argument("--port", type=int, default=settings.FLXDR.backend_port, help="port to serve (%(default)s)")
        parser.add_argument("--web-workers", type=_at_least_one, default=2, help="web processes (%(default)s)")
        parser.add_argument("--tasks", type=_at_least_one, default=2, help="tasks at once in the worker (%(default)s)")

    def handle(self, *, host: str, port: int, web_workers: int, tasks: int, verbosity: int, **_: Any) -> None:
        run_dir = settings.FLXDR.data_dir / "run"
        try:
            with exclusive(run_dir):
                call_command("migrate", interactive=False, verbosity=min(verbosity, 1))
                connections.close_all()  # the processes open their own
                self._introduce(host, port)
                Supervisor(
                    _services(host=host, port=port, web_workers=web_workers, tasks=tasks),
                    run_dir=run_dir,
                    environment=_environment(host, port),
                    announce=self._announce,
                ).run()
        except AlreadyRunning as error:
            raise CommandError(str(error)) from error
        self._announce("stopped")

    def _introduce(self, host: str, port: int) -> None:
        address = f"http://{'localhost' if host in ('127.0.0.1', '::1', '0.0.0.0') else host}:{port}"  # noqa: S104
        self._announce(f"dashboard {address}/   API {address}/api/fl-blockchain/   documentation {address}/docs")
        self._announce(f"state in {settings.FLXDR.data_dir}")

    def _announce(self, line: str) -> None:
        self.stdout.write(f"[up] {line}")
        self.stdout.flush()


def _services(*, host: str, port: int, web_workers: int, tasks: int) -> tuple[Service, ...]:
    """The processes of a coordinator: web, worker and the beat that reminds it.

    Beat keeps its schedule in memory: every entry is a short interval, and what is due stands in the database anyway.
    """
    gunicorn = ["gunicorn", "flxdr.wsgi:application", "--config", "python:flxdr.gunicorn_config"]
    worker = ["celery", "--app", "flxdr", "worker", "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    beat = ["celery", "--app", "flxdr", "beat", "--loglevel", "WARNING", "--pidfile="]
    # Threads: numpy, hashing and signing release the GIL, a killed worker leaves no pool behind, and one process needs
    # a third of the memory of three.
    pool = ["--pool", "threads", "--concurrency", str(tasks)]
    python = [sys.executable, "-m"]
    return (
        Service("web", [*python, *gunicorn, "--bind", f"{_bracketed(host)}:{port}", "--workers", str(web_workers)]),
        Service("worker", [*python, *worker, *pool]),
        Service("beat", [*python, *beat, "--scheduler", "celery.beat.Scheduler"]),
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _environment(host: str, port: int) -> dict[str, str]:
    """The processes' environment: this one's, with what the command line overrode.

    One BLAS thread each: they share the machine's cores with each other.
    """
    return {"OPENBLAS_NUM_THREADS": "1", **os.environ, "BACKEND_HOST": host, "BACKEND_PORT": str(port)}


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
