"""The conditions of the site itself: its accounts, its backups, its telemetry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from flxdr.core.clock import ManualClock, format_timestamp
from flxdr.env import Env
from flxdr.notifications import kinds
from flxdr.notifications.conditions import survey
from flxdr.platform.audit import record_event
from flxdr.platform.models import OutboxEvent
from flxdr.platform.telemetry.outbox import drain, retry_refused
from ledger.models import Block
from tests.notifications.conftest import Reviewed, closed
from tests.support.federation import SimulatedFederation

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]
Change = Callable[..., Env]


def test_an_account_is_locked_for_as_long_as_the_lock_lasts(clock: ManualClock, reviewed: Reviewed) -> None:
    for minutes, address in ((0, "192.0.2.1"), (1, "192.0.2.2"), (0, "192.0.2.1")):
        clock.advance(timedelta(minutes=minutes))
        with transaction.atomic():
            record_event(
                kind="operator.locked_out", actor="anonymous", subject="kim", data={"address": address}, clock=clock
            )
    OutboxEvent.objects.update(sent_at=clock.now())
    (locked,) = reviewed()[kinds.ACCOUNT_LOCKED]
    assert locked.text == (
        "Somebody failed too often to sign in as kim: locked since 2100-01-01 00:00 UTC for 192.0.2.1, 192.0.2.2."
    )
    clock.advance(timedelta(minutes=15))
    assert reviewed() == {}
    assert closed(kinds.ACCOUNT_LOCKED).text == "kim is not locked any more."


class TestOldBackup:
    def back_up(self, clock: ManualClock) -> None:
        data = {"blocks": Block.objects.count()}
        with transaction.atomic():
            record_event(kind="backup.made", actor="command", subject="b", data=data, clock=clock)
        OutboxEvent.objects.update(sent_at=clock.now())

    def found(self, clock: ManualClock) -> list[str]:
        return [each.data["since_at"] for each in survey(clock.now()).findings if each.kind == kinds.BACKUP_OLD]

    def test_what_is_in_no_backup_for_two_days(
        self, env: Change, trio: SimulatedFederation, clock: ManualClock
    ) -> None:
        env(env="production")
        first = Block.objects.get(height=1).timestamp
        assert self.found(clock) == []
        clock.advance(timedelta(days=2, seconds=1))
        assert self.found(clock) == [format_timestamp(first)]
        self.back_up(clock)
        clock.advance(timedelta(days=30))
        assert self.found(clock) == [], "nothing has happened since"
        env(env="development")  # where nobody has to approve
        trio.enrol("org-delta")
        env(env="production")
        (newest,) = Block.objects.order_by("-height")[:1]
        clock.advance(timedelta(days=2, seconds=1))
        assert self.found(clock) == [format_timestamp(newest.timestamp)]

    def test_a_site_for_development_needs_none(self, trio: SimulatedFederation, clock: ManualClock) -> None:
        clock.advance(timedelta(days=3))
        assert self.found(clock) == []


def test_telemetry_is_refused(clock: ManualClock, reviewed: Reviewed) -> None:
    with transaction.atomic():
        event = record_event(kind="a.b", actor="a", subject="s", data={}, clock=clock)
    OutboxEvent.objects.filter(event=event).update(refused_at=clock.now(), last_error="Kafka: too large")
    (refused,) = reviewed()[kinds.TELEMETRY_REFUSED]
    assert refused.text == (
        "The telemetry sink refuses events, which are set aside, since 2100-01-01 00:00 UTC: Kafka: too large"
    )
    retry_refused(actor="command", clock=clock)
    drain(clock=clock)
    assert reviewed() == {}


def test_telemetry_is_stuck(clock: ManualClock, reviewed: Reviewed) -> None:
    with transaction.atomic():
        record_event(kind="a.b", actor="a", subject="s", data={}, clock=clock)
    clock.advance(timedelta(minutes=15))
    assert reviewed() == {}
    clock.advance(timedelta(seconds=1))
    (stuck,) = reviewed()[kinds.TELEMETRY_STUCK]
    assert stuck.text == (
        "Telemetry is not delivered: the oldest event waits since 2100-01-01 00:00 UTC, attempts so far: 0."
    )
    drain(clock=clock)
    assert not OutboxEvent.objects.filter(sent_at=None).exists()
    assert reviewed() == {}
