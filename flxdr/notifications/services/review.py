"""Opening what holds, closing what does not hold any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from flxdr.core.clock import Clock, SystemClock
from flxdr.notifications import conditions, selectors
from flxdr.notifications.conditions import Finding
from flxdr.notifications.kinds import KINDS
from flxdr.notifications.models import Delivery, LastReview, Notification
from flxdr.notifications.services.deliveries import announce
from flxdr.platform.audit import record_event

ACTOR = "notifications"
_SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True)
class Reviewed:
    """How many notifications this review opened and closed."""

    opened: int
    closed: int


def review(*, clock: Clock = _SYSTEM_CLOCK) -> Reviewed:
    """Make every check, and open, update and close notifications by what it finds.

    Any number of processes may review at once: of a kind and subject one notification is open, and a review closes
    only what was open before it looked. Where a check failed, its notifications stay as they are.
    """
    before = {(each.kind, each.subject): each for each in selectors.open_notifications()}
    now = clock.now()
    surveyed = conditions.survey(now)
    found = {(finding.kind, finding.subject): finding for finding in surveyed.findings}
    new = [finding for key, finding in found.items() if key not in before]
    over = [each for key, each in before.items() if key not in found and each.kind not in surveyed.unknown]
    over.sort(key=lambda notification: notification.pk)
    _update(before, found)
    LastReview.objects.bulk_create(
        [LastReview(id=1, at=now)], update_conflicts=True, unique_fields=["id"], update_fields=["at"]
    )
    if not new and not over:
        return Reviewed(0, 0)
    with transaction.atomic():
        closed = sum(_close(notification, clock) for notification in over)
        opened = sum(_open(finding, clock) for finding in new)
    return Reviewed(opened, closed)


def _update(before: Mapping[tuple[str, str], Notification], found: Mapping[tuple[str, str], Finding]) -> None:
    """Keep what the open ones say true, such as the rounds that are left; nobody is told again."""
    for key, notification in before.items():
        if key in found and notification.data != found[key].data:
            Notification.objects.filter(pk=notification.pk, closed_at=None).update(data=found[key].data)


def _open(finding: Finding, clock: Clock) -> bool:
    severity = KINDS[finding.kind].severity.value
    try:
        with transaction.atomic():
            notification = Notification.objects.create(
                kind=finding.kind,
                subject=finding.subject,
                severity=severity,
                data=dict(finding.data),
                opened_at=clock.now(),
            )
    except IntegrityError:  # another review opened it since this one looked
        return False
    _tell(notification, Delivery.News.OPENED, clock)
    return True


def _close(notification: Notification, clock: Clock) -> bool:
    at = _not_before(notification.opened_at, clock.now())
    if Notification.objects.filter(pk=notification.pk, closed_at=None).update(closed_at=at) != 1:
        return False
    notification.closed_at = at
    _tell(notification, Delivery.News.CLOSED, clock)
    return True


def _not_before(opened: datetime, now: datetime) -> datetime:
    """A machine's clock may have been set back since."""
    return max(opened, now)


def _tell(notification: Notification, news: Delivery.News, clock: Clock) -> None:
    record_event(
        kind=f"notification.{news}",
        actor=ACTOR,
        subject=str(notification),
        data={"severity": notification.severity, **notification.data},
        clock=clock,
    )
    announce(notification=notification, news=news, clock=clock)
