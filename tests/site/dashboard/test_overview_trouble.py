"""The overview tells what does not move on by itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.test import Client

from federation.models import TrainingRound
from federation.services import rounds
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.platform.audit import record_event
from flxdr.platform.models import OutboxEvent
from tests.federation.closed_rounds import collected
from tests.site.dashboard.visitors import text_of
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db


def test_telemetry_that_waits_long_is_stuck(operator: Client, federation: SimulatedFederation) -> None:
    federation.enrol("org-a")
    OutboxEvent.objects.all().update(sent_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert "all events are sent" in text_of(operator, "/overview/panels")
    with transaction.atomic():
        record_event(kind="a.b", actor="x", subject="y", data={}, clock=SystemClock())
    page = text_of(operator, "/overview/panels")
    assert "1 event unsent" in page
    assert ">stuck<" not in page
    with transaction.atomic():
        old = ManualClock(SystemClock().now() - timedelta(hours=1))
        OutboxEvent.objects.all().update(sent_at=old.now())
        record_event(kind="a.b", actor="x", subject="y", data={}, clock=old)
    assert ">stuck<" in text_of(operator, "/overview/panels")


def test_telemetry_that_was_refused_is_told(operator: Client, federation: SimulatedFederation) -> None:
    federation.enrol("org-a")
    OutboxEvent.objects.all().update(sent_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert "set aside" not in text_of(operator, "/overview/panels")
    newest = OutboxEvent.objects.order_by("-id").values("pk")[:1]
    OutboxEvent.objects.filter(pk__in=newest).update(sent_at=None, refused_at=SystemClock().now())
    page = text_of(operator, "/overview/panels")
    assert "1 event set aside" in page
    assert "all events are sent" in page


@pytest.mark.parametrize(("lease", "is_told"), [(-60, True), (60, False), (None, True)])
def test_a_round_that_no_worker_holds_is_told(
    operator: Client, federation: SimulatedFederation, clock: ManualClock, lease: int | None, is_told: bool
) -> None:
    opened = collected(federation, clock)
    now = SystemClock().now()
    until = None if lease is None else now + timedelta(seconds=lease)
    TrainingRound.objects.update(lease_until=until, closed_at=now - timedelta(minutes=5))
    page = text_of(operator, "/overview/panels")
    assert ("no worker" in page) is is_told
    assert opened.round_id in page


def test_failures_of_a_day_are_told(operator: Client, federation: SimulatedFederation, clock: ManualClock) -> None:
    opened = collected(federation, clock)
    rounds.abort_round(round_id=opened.round_id, actor="operator", reason="a test", clock=clock)
    TrainingRound.objects.update(finished_at=SystemClock().now() - timedelta(hours=23))
    failed = "<dt>Failed in a day</dt> <dd> <a"
    assert failed in text_of(operator, "/overview/panels")
    TrainingRound.objects.update(finished_at=SystemClock().now() - timedelta(hours=25))
    assert failed not in text_of(operator, "/overview/panels")


@pytest.mark.parametrize(
    ("age", "missing", "said"),
    [
        (None, 0, ["none yet"]),
        (timedelta(hours=47), 0, []),
        (timedelta(hours=49), 0, ["old"]),
        (timedelta(hours=1), 2, ["files were missing"]),
    ],
)
def test_the_age_of_the_last_backup_is_told(
    operator: Client, age: timedelta | None, missing: int, said: list[str]
) -> None:
    last = SystemClock().now() - (age or timedelta(0))
    moments = [] if age is None else [last - timedelta(days=9), last]
    for moment in moments:
        clock, data = ManualClock(moment), {"missing": missing}
        record_event(kind="backup.made", actor="command", subject="backup", data=data, clock=clock)
    told = text_of(operator, "/").partition("<dt>Last backup</dt>")[2].partition("</dd>")[0]
    assert re.findall(r'class="badge [a-z]+">([^<]+)<', told) == said
    assert [moment for moment in moments if f"{moment:%Y-%m-%dT%H:%M}" in told] == moments[-1:]
