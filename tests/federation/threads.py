"""Several calls at the same moment, as several workers make them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def in_threads(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls at once, each on its own connection; answers or exceptions, in order."""
    answers: list[Any] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(index: int) -> None:
        gate.wait()
        try:
            answers[index] = calls[index]()
        except Exception as error:  # noqa: BLE001  (the test looks at it)
            answers[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
