"""The worker's own thread for telemetry, so that a sink that is slow or down takes no task's place."""

from __future__ import annotations

import atexit
import threading

import structlog
from django.db import connections

from flxdr.platform.telemetry.outbox import drain
from flxdr.platform.telemetry.sinks.interface import Sink
from flxdr.platform.telemetry.sinks.registry import configured_sink

_log = structlog.get_logger("flxdr.telemetry")


class Sender:
    """Drains the outbox in a thread of its own, in no more than one. It keeps its sink, and so its connections."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sink: Sink | None = None
        self._stop = threading.Event()

    def wake(self) -> None:
        """Have the outbox drained, soon; returns at once. Does nothing while a drain is going on."""
        with self._starting:
            if self._stop.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            # A daemon: a sink that hangs must not keep the process from ending. What it held is sent by the next one.
            self._thread = threading.Thread(target=self._drain, name="telemetry", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """End after the batch that is on its way, or after `seconds` without its confirmation."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _drain(self) -> None:
        try:
            if self._sink is None:
                self._sink = configured_sink()
            drain(sink=self._sink, should_stop=self._stop.is_set)
        except Exception:  # noqa: BLE001 - a thread has no caller; the next wake tries again
            _log.exception("telemetry not sent")
        finally:
            connections.close_all()


SENDER = Sender()
atexit.register(SENDER.stop)
