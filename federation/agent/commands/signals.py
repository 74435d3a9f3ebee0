"""SIGTERM and SIGINT as an exception, for commands that run until somebody stops them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from federation.agent.errors import StopRequested


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `StopRequested` wherever the command is when one of the signals comes."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise StopRequested

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
