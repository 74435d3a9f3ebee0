"""`manage.py notify_test`: a test message through every configured channel."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from flxdr.core.clock import SystemClock
from flxdr.notifications import kinds
from flxdr.notifications.channels.interface import NotDelivered
from flxdr.notifications.channels.registry import configured
from flxdr.notifications.models import Delivery, Notification
from flxdr.notifications.services.deliveries import message_of


class Command(BaseCommand):
    help = "Send a test message through every configured channel, now, and say what came of it. Nothing is stored."

    def handle(self, **_: Any) -> None:
        channels = configured()
        if not channels:
            raise CommandError(
                "no channel is configured. Set FL_NOTIFY_EMAIL, FL_NOTIFY_SMTP_URL and FL_NOTIFY_FROM, or "
                "FL_NOTIFY_WEBHOOK_URL and FL_NOTIFY_WEBHOOK_SECRET."
            )
        now = SystemClock().now()
        test = Notification(id=0, kind=kinds.TEST, subject=kinds.TEST, severity=kinds.Severity.INFO, opened_at=now)
        failed = []
        for channel in channels:
            try:
                channel.send([message_of(test, Delivery.News.OPENED)])
            except NotDelivered as error:
                failed.append(channel.name)
                self.stderr.write(f"{channel.name}: {error}")
            else:
                self.stdout.write(f"{channel.name}: the message was taken")
        if failed:
            raise CommandError(f"not delivered: {', '.join(failed)}")
