"""What a telemetry sink does, and the two ways in which it may not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from flxdr.core.errors import FlxdrError, Unavailable

Event = dict[str, Any]
SEND_SECONDS = 10.0
"""How long a sink may take for one batch; well below the sender's lease."""


class SinkUnavailable(Unavailable):
    """The sink did not confirm the events, whatever they say; they stay in the outbox."""

    code = "telemetry_unavailable"
    title = "Telemetry sink unavailable"


class EventsRefused(FlxdrError):
    """The sink answers and will not have these events, now or later."""

    code = "telemetry_refused"
    title = "Telemetry refused"


class Sink(Protocol):
    def send(self, events: Sequence[Event]) -> None:
        """Deliver all events in their order; returning means that the sink has them safely.

        Raises:
            SinkUnavailable: some may have arrived, so all are sent again.
            EventsRefused: at least one of them is at fault; others may have arrived.
        """
        ...
