"""`manage.py telemetry_retry`: after a sink was repaired."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from flxdr.platform.telemetry.lease import end_pause
from flxdr.platform.telemetry.outbox import retry_refused


class Command(BaseCommand):
    help = "Send the telemetry events again that the sink refused, and let the sender try now instead of after a pause."

    def handle(self, **_: Any) -> None:
        events = retry_refused(actor="command")
        end_pause()
        self.stdout.write(f"{events} refused events are sent again, as late ones.")
