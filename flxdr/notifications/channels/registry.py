"""The channels that the settings configure."""

from __future__ import annotations

from django.conf import settings

from flxdr.notifications.channels.email import EmailChannel
from flxdr.notifications.channels.interface import Channel
from flxdr.notifications.channels.webhook import WebhookChannel
from flxdr.notifications.kinds import Severity


def configured() -> list[Channel]:
    """Every channel that has all that it needs; the system checks refuse one that has a part."""
    env = settings.FLXDR
    channels: list[Channel] = []
    if env.notify_email and env.notify_smtp_url and env.notify_from:
        channels.append(EmailChannel(server=env.notify_smtp_url, sender=env.notify_from, recipients=env.notify_email))
    if env.notify_webhook_url and env.notify_webhook_secret:
        channels.append(WebhookChannel(url=env.notify_webhook_url, secret=env.notify_webhook_secret))
    return channels


def is_loud(severity: Severity) -> bool:
    """Whether notifications of that severity leave the site, by `FL_NOTIFY_LEVEL`."""
    return severity.rank >= Severity(settings.FLXDR.notify_level).rank
