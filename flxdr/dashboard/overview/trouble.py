"""What does not move on by itself: events that are not sent, rounds that no worker takes, rounds that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.models import ConfirmationRequest, TrainingRound
from federation.selectors import waiting_confirmations
from federation.selectors.overview import failed_since, stalled_rounds
from flxdr.backup.record import is_old, last_backup
from flxdr.platform.models import AuditEvent, OutboxEvent
from flxdr.platform.telemetry.selectors import count_waiting, oldest_waiting, refused

PATIENCE = timedelta(minutes=15)
"""A sink's hiccup; an event that waits longer is stuck."""
RECENT = timedelta(days=1)
FAILURES_SHOWN = 3
CONFIRMATIONS_SHOWN = 3


@dataclass(frozen=True)
class Trouble:
    """The queue, and what went wrong within a day.

    Attributes:
        unsent, oldest: telemetry that its sink has not confirmed.
        is_stuck: the oldest of it waits for longer than a hiccup.
        refused: telemetry that its sink would not have, set aside.
        stalled: rounds to aggregate that no worker works on.
        backup, is_backup_old: the last one that is on record; none is old as well.
    """

    unsent: int
    oldest: OutboxEvent | None
    is_stuck: bool
    refused: int
    stalled: Sequence[TrainingRound]
    failed: Sequence[TrainingRound]
    failed_total: int
    backup: AuditEvent | None
    is_backup_old: bool
    confirmations: Sequence[ConfirmationRequest]


def read_trouble(now: datetime) -> Trouble:
    """Read it."""
    oldest, backup = oldest_waiting(), last_backup()
    failed, failed_total = failed_since(now - RECENT, at_most=FAILURES_SHOWN)
    return Trouble(
        unsent=count_waiting(),
        oldest=oldest,
        is_stuck=oldest is not None and now - oldest.event.at > PATIENCE,
        refused=refused().count(),
        stalled=stalled_rounds(now),
        failed=failed,
        failed_total=failed_total,
        backup=backup,
        is_backup_old=is_old(backup, now),
        confirmations=waiting_confirmations(now, at_most=CONFIRMATIONS_SHOWN),
    )
