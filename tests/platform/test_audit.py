"""An event is told exactly when its change is made."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.test import Client

from flxdr.core.clock import ManualClock
from flxdr.platform.audit import record_event
from flxdr.platform.models import AuditEvent, OutboxEvent, UsedToken

KIND = "test.happened"  # beside what the migrations told


@pytest.mark.django_db
def test_event_and_outbox_row_are_written_together(clock: ManualClock) -> None:
    event = record_event(kind=KIND, actor="operator:ada", subject="r-1", data={"n": 2}, clock=clock)
    stored = AuditEvent.objects.get(kind=KIND)
    assert (stored.kind, stored.actor, stored.subject, stored.data) == (
        KIND,
        "operator:ada",
        "r-1",
        {"n": 2},
    )
    assert stored.at == clock.now()
    assert OutboxEvent.objects.get(event__kind=KIND).event == event


@pytest.mark.django_db(transaction=True)
def test_event_shares_the_fate_of_the_change() -> None:
    @transaction.atomic
    def change_and_fail() -> None:
        record_event(kind=KIND, actor="a", subject="r-1", data={})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change_and_fail()
    assert not AuditEvent.objects.filter(kind=KIND).exists()
    assert not OutboxEvent.objects.filter(event__kind=KIND).exists()


@pytest.mark.django_db(transaction=True)
def test_event_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record_event(kind=KIND, actor="a", subject="r-1", data={})
    assert not AuditEvent.objects.filter(kind=KIND).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("model", [AuditEvent, OutboxEvent, UsedToken])
def test_admin_shows_and_changes_nothing(client: Client, clock: ManualClock, model: type) -> None:
    record_event(kind=KIND, actor="a", subject="r-1", data={}, clock=clock)
    UsedToken.objects.create(issuer="org-a", jti="j", expires_at=clock.now())
    client.force_login(User.objects.create_superuser("root"), "django.contrib.auth.backends.ModelBackend")
    address = f"/admin/platform/{model.__name__.lower()}/"
    row = model.objects.latest("pk")  # type: ignore[attr-defined]
    assert client.get(address).status_code == 200
    assert client.get(f"{address}{row.pk}/change/").status_code == 200
    assert client.get(f"{address}add/").status_code == 403
    assert client.post(f"{address}{row.pk}/change/", {"kind": "x"}).status_code == 403
    assert client.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_the_trail_cannot_be_rewritten(clock: ManualClock) -> None:
    event = record_event(kind=KIND, actor="a", subject="r-1", data={}, clock=clock)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.filter(pk=event.pk).update(actor="b")
    event.refresh_from_db()
    assert event.actor == "a"
