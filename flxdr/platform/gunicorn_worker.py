"""The web process: gunicorn's threads, but for one wait that is not the accepting thread's."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker


class Worker(ThreadWorker):
    """Hangs up in the thread that answered.

    gunicorn 27 waits for the client's end of a connection before it closes its own, for up to two seconds, in the
    thread that hands out all of the process's connections: a client that takes its time held up everybody.
    """

    def handle(self, conn: TConn) -> Any:
        kept = super().handle(conn)
        if kept is False:
            with suppress(OSError):  # it was closed before
                conn.close(graceful=True)
        return kept

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        if fs.cancelled() or fs.exception() is not None or fs.result() is not False:
            super().finish_request(conn, fs)
        else:
            self.nr_conns -= 1
