"""News on their way: written with the notification, sent later, at least once, each channel for itself."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from flxdr.core.clock import Clock, SystemClock
from flxdr.notifications.channels.interface import Channel, ChannelDown, Message, NotDelivered
from flxdr.notifications.channels.registry import configured, is_loud
from flxdr.notifications.kinds import Severity
from flxdr.notifications.models import Delivery, Notification

LEASE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=15)
RUN_SECONDS = 20.0
"""How long a run begins to send: one that is slow leaves the rest to the next, and the worker to other tasks."""
News = Delivery.News
_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("flxdr.notifications")


def announce(*, notification: Notification, news: News, clock: Clock) -> None:
    """Have the configured channels tell, in the caller's transaction: that it is over to whom the opening was told."""
    channels = {channel.name for channel in configured()}
    if news == News.CLOSED:
        channels &= set(notification.deliveries.filter(news=News.OPENED).values_list("channel", flat=True))
    elif not is_loud(Severity(notification.severity)):
        return
    Delivery.objects.bulk_create(
        Delivery(notification=notification, channel=channel, news=news, created_at=clock.now())
        for channel in sorted(channels)
    )


def deliver(*, clock: Clock = _SYSTEM_CLOCK) -> int:
    """Send what waits through the configured channels; returns how many deliveries were made.

    Any number of processes may deliver at once: a row is claimed by compare-and-swap, and one whose process died is
    claimed again when its lease is over. A channel that is down delays its own deliveries and nothing else.
    """
    return sum(_deliver(channel, clock) for channel in configured())


def message_of(notification: Notification, news: News) -> Message:
    """What is told, in the language that is active; an opening as such, also when it is over by the time it leaves."""
    is_over = news == News.CLOSED
    return Message(
        id=notification.pk,
        kind=notification.kind,
        severity=Severity(notification.severity),
        subject=notification.subject,
        text=notification.text if is_over else notification.text_when_open,
        opened_at=notification.opened_at,
        closed_at=notification.closed_at if is_over else None,
        url=(settings.FLXDR.public_url or "").rstrip("/") + notification.path,
    )


def _deliver(channel: Channel, clock: Clock) -> int:
    sent = 0
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until and (rows := _claim(channel, clock)):
        try:
            channel.send([message_of(row.notification, News(row.news)) for row in rows])
        except NotDelivered as error:
            _put_back(rows, error, clock)
            if isinstance(error, ChannelDown):
                break
        else:
            sent += _held(rows).update(sent_at=clock.now(), token="", lease_until=None, last_error="")
    return sent


def _claim(channel: Channel, clock: Clock) -> Sequence[Delivery]:
    """Lease the oldest waiting deliveries to this call; that it is over waits until the opening was told."""
    now = clock.now()
    unsent = Delivery.objects.filter(channel=channel.name, sent_at=None)
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    earlier = unsent.filter(notification=OuterRef("notification"), id__lt=OuterRef("id"))
    candidates = list(
        unsent.filter(free, ~Exists(earlier)).order_by("id").values_list("id", flat=True)[: channel.batch]
    )
    if not candidates:
        return []
    token = secrets.token_hex(16)
    unsent.filter(free, id__in=candidates).update(token=token, lease_until=now + LEASE)
    return list(Delivery.objects.filter(token=token).select_related("notification").order_by("id"))


def _held(rows: Sequence[Delivery]) -> QuerySet[Delivery]:
    return Delivery.objects.filter(token=rows[0].token, sent_at=None)


def _put_back(rows: Sequence[Delivery], error: NotDelivered, clock: Clock) -> None:
    """Let the deliveries wait; the more often they failed, the longer."""
    _log.warning("notifications not delivered", channel=rows[0].channel, reason=error.detail, waiting=len(rows))
    pause = min(timedelta(seconds=15 * 2 ** min(rows[0].attempts, 10)), LONGEST_PAUSE)
    _held(rows).update(
        attempts=F("attempts") + 1, last_error=error.detail[:500], token="", lease_until=clock.now() + pause
    )
