"""A review opens what holds once, closes what does not hold any more, and tells the audit trail of both."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from federation.models import Organization
from federation.services import rounds
from flxdr.core.clock import ManualClock
from flxdr.notifications import conditions, kinds, selectors
from flxdr.notifications.conditions import Survey
from flxdr.notifications.models import Delivery, Notification
from flxdr.notifications.services import review as review_module
from flxdr.notifications.services.review import Reviewed, review
from flxdr.platform.models import AuditEvent
from tests.federation.threads import in_threads
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(quiet: None) -> Organization:
    return Organization.objects.create(org_id="org-alpha", name="Alpha")


def test_what_holds_is_opened_once(waiting: Organization, clock: ManualClock) -> None:
    assert review(clock=clock) == Reviewed(opened=1, closed=0)
    clock.advance(timedelta(minutes=1))
    assert review(clock=clock) == Reviewed(opened=0, closed=0)
    event = AuditEvent.objects.get(kind="notification.opened")
    assert (event.actor, event.subject) == ("notifications", "organization_waiting org-alpha")
    assert event.data == {"severity": "info", "org_id": "org-alpha"}


def test_what_is_over_is_closed_once_and_may_come_back(waiting: Organization, clock: ManualClock) -> None:
    review(clock=clock)
    Organization.objects.update(status="active")
    clock.advance(timedelta(minutes=1))
    assert review(clock=clock) == Reviewed(opened=0, closed=1)
    assert review(clock=clock) == Reviewed(opened=0, closed=0)
    assert AuditEvent.objects.filter(kind="notification.closed").count() == 1
    Organization.objects.update(status="pending")
    assert review(clock=clock) == Reviewed(opened=1, closed=0)
    assert list(Notification.objects.order_by("id").values_list("closed_at", flat=True)) == [clock.now(), None]


def test_a_clock_that_was_set_back(waiting: Organization, clock: ManualClock) -> None:
    review(clock=clock)
    opened_at = clock.now()
    Organization.objects.update(status="active")
    clock.advance(-timedelta(seconds=1))
    assert review(clock=clock) == Reviewed(opened=0, closed=1)
    assert Notification.objects.get().closed_at == opened_at


@pytest.mark.parametrize("holds", [True, False], ids=["opening", "closing"])
@pytest.mark.django_db(transaction=True)
def test_reviews_at_the_same_moment_change_one_row(
    waiting: Organization, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    """Each has looked before the other changes anything: only the database can tell them apart then."""
    if not holds:
        review(clock=clock)
        Organization.objects.update(status="active")
    both_have_looked = threading.Barrier(2, timeout=30)
    look = conditions.survey

    def look_together(*args: object) -> Survey:
        seen = look(clock.now())
        both_have_looked.wait()
        return seen

    monkeypatch.setattr(conditions, "survey", look_together)
    answers = in_threads(lambda: review(clock=clock), lambda: review(clock=clock))
    changed = Reviewed(1, 0) if holds else Reviewed(0, 1)
    assert sorted(answers, key=str) == sorted([changed, Reviewed(0, 0)], key=str)
    assert Notification.objects.count() == 1
    assert AuditEvent.objects.filter(kind=f"notification.{'opened' if holds else 'closed'}").count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_review_closes_nothing_that_was_opened_after_it_looked(
    waiting: Organization, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = conditions.survey

    def look_and_be_overtaken(*args: object) -> Survey:
        monkeypatch.setattr(conditions, "survey", look)
        seen = look(clock.now())
        Organization.objects.create(org_id="org-beta", name="Beta")
        review(clock=clock)
        return seen

    monkeypatch.setattr(conditions, "survey", look_and_be_overtaken)
    review(clock=clock)
    assert {each.subject for each in selectors.open_notifications()} == {"org-alpha", "org-beta"}


def test_the_gravest_come_first_then_the_newest(quiet: None, clock: ManualClock) -> None:
    for kind, severity in (("c", "critical"), ("i", "info"), ("w1", "warning"), ("w2", "warning")):
        clock.advance(timedelta(seconds=1))
        Notification.objects.create(kind=kind, subject="s", severity=severity, opened_at=clock.now())
    assert [each.kind for each in selectors.open_notifications()] == ["c", "w2", "w1", "i"]
    assert selectors.open_count() == 4


def test_history_is_paged_the_last_closed_first(quiet: None, clock: ManualClock) -> None:
    for number in range(5):
        at = clock.now()
        clock.advance(timedelta(seconds=1))
        Notification.objects.create(
            kind="k", subject=f"s-{number}", severity="info", opened_at=at, closed_at=clock.now() if number else None
        )
    page, total = selectors.notifications_page(2, 1)
    assert ([each.subject for each in page], total) == (["s-3", "s-2"], 4)


def test_the_database_keeps_one_open_notification_each(quiet: None, clock: ManualClock) -> None:
    fields = {"kind": "k", "subject": "s", "severity": "info", "opened_at": clock.now()}
    Notification.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.create(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.create(**fields, closed_at=clock.now() - timedelta(seconds=1))
    Notification.objects.create(**fields, closed_at=clock.now())


def test_an_event_and_its_notification_stand_or_fall_together(
    waiting: Organization, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(review_module, "record_event", fail)
    with pytest.raises(OSError, match="full"):
        review(clock=clock)
    assert not Notification.objects.exists()


def test_the_admin_shows_and_changes_nothing(waiting: Organization, clock: ManualClock) -> None:
    review(clock=clock)
    notification = Notification.objects.get()
    delivery = Delivery.objects.create(
        notification=notification, channel="email", news="opened", created_at=clock.now(), token="of-a-process"
    )
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("kim"))
    for row in (notification, delivery):
        assert site.is_registered(type(row))
        model = row._meta.model_name
        listed = client.get(f"/admin/notifications/{model}/").content.decode()
        assert "org-alpha" in listed
        page = client.get(f"/admin/notifications/{model}/{row.pk}/change/")
        assert page.status_code == 200
        assert 'name="_save"' not in page.content.decode()
        assert "of-a-process" not in page.content.decode()
        for action in ("add/", f"{row.pk}/delete/"):
            assert client.post(f"/admin/notifications/{model}/{action}", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_page_that_a_notification_leads_to_opens(
    trio: SimulatedFederation, clock: ManualClock, kind: str
) -> None:
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("kim"))
    started = rounds.start_round(actor="operator", clock=clock)
    response = client.get(kinds.path(kind, {"org_id": "org-alpha", "round_id": started.round_id}))
    assert response.status_code == 200


def test_a_kind_of_an_older_version_still_reads() -> None:
    gone = Notification(kind="disk_full", data={"x": 1})
    assert (gone.text, gone.path) == ("disk full", "/notifications/")


def test_what_others_wrote_stays_on_one_line() -> None:
    data = {"number": 1, "model": "m", "code": "c", "reason": "a\r\nBcc: everybody@example.org\x0bb"}
    assert kinds.sentence(kinds.ROUND_FAILED, data, over=False) == (
        "Round 1 of m failed (c): a Bcc: everybody@example.org b."
    )
