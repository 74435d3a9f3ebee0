"""Links with which an organisation signs in to its own page: one use, two minutes, nobody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest

from federation.errors import SignInRefused
from federation.models import Organization
from federation.services import enrolment, sign_in
from flxdr.core.clock import ManualClock
from flxdr.platform.auth.spent import purge_spent_tokens
from flxdr.platform.models import AuditEvent, UsedToken
from tests.federation.conftest import Stored
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret(federation: SimulatedFederation, clock: ManualClock) -> str:
    federation.enrol("org-alpha")
    return sign_in.make_sign_in_secret(org_id="org-alpha", clock=clock)


def test_a_link_signs_in_once(secret: str, clock: ManualClock) -> None:
    assert sign_in.whose_link(secret=secret, clock=clock).org_id == "org-alpha"
    assert sign_in.sign_in(secret=secret, clock=clock).org_id == "org-alpha"
    event = AuditEvent.objects.get(kind="organization.signed_in")
    assert (event.actor, event.subject, event.data) == ("org-alpha", "org-alpha", {})
    for use in (sign_in.whose_link, sign_in.sign_in):
        with pytest.raises(SignInRefused, match="used before"):
            use(secret=secret, clock=clock)
    assert AuditEvent.objects.filter(kind="organization.signed_in").count() == 1


def test_the_secret_itself_is_kept_nowhere(secret: str, clock: ManualClock) -> None:
    sign_in.sign_in(secret=secret, clock=clock)
    kept = [*UsedToken.objects.values(), *AuditEvent.objects.values()]
    assert secret not in str(kept)
    assert secret.split(":", maxsplit=1)[0] not in str(kept)


def test_looking_at_a_link_does_not_use_it(secret: str, clock: ManualClock, stored: Stored) -> None:
    before = stored.count()
    sign_in.whose_link(secret=secret, clock=clock)
    assert stored.count() == before


def test_it_lives_two_minutes(secret: str, clock: ManualClock, stored: Stored) -> None:
    clock.advance(timedelta(seconds=119))
    sign_in.whose_link(secret=secret, clock=clock)
    clock.advance(timedelta(seconds=1))
    before = stored.count()
    with pytest.raises(SignInRefused, match="too old"):
        sign_in.sign_in(secret=secret, clock=clock)
    assert stored.count() == before


def test_what_was_used_is_forgotten_only_when_it_is_too_old(secret: str, clock: ManualClock) -> None:
    sign_in.sign_in(secret=secret, clock=clock)
    clock.advance(timedelta(seconds=119))
    assert purge_spent_tokens(clock=clock) == 0
    with pytest.raises(SignInRefused, match="used before"):
        sign_in.sign_in(secret=secret, clock=clock)
    clock.advance(timedelta(minutes=2))
    assert purge_spent_tokens(clock=clock) == 1
    with pytest.raises(SignInRefused, match="too old"):
        sign_in.sign_in(secret=secret, clock=clock)


@pytest.mark.parametrize("change", ["", "x", "x" * 100_000, "é:\0"])
def test_what_is_invented_signs_nobody_in(secret: str, clock: ManualClock, change: str) -> None:
    with pytest.raises(SignInRefused, match="no link of the coordinator"):
        sign_in.sign_in(secret=change, clock=clock)


def test_a_link_of_one_organization_is_no_other_ones(secret: str, clock: ManualClock) -> None:
    Organization.objects.create(org_id="org-beta", name="Beta", status=Organization.Status.ACTIVE)
    other = sign_in.make_sign_in_secret(org_id="org-beta", clock=clock)
    mixed = f"{other.split(':')[0]}:{secret.split(':')[1]}"
    with pytest.raises(SignInRefused, match="no link of the coordinator"):
        sign_in.sign_in(secret=mixed, clock=clock)


def test_who_is_not_active_gets_no_link_and_cannot_use_one(secret: str, clock: ManualClock) -> None:
    enrolment.suspend(org_id="org-alpha", actor="operator:kim", clock=clock)
    for use in (sign_in.whose_link, sign_in.sign_in):
        with pytest.raises(SignInRefused, match="no active organization"):
            use(secret=secret, clock=clock)
    for org_id in ("org-alpha", "org-nobody"):
        with pytest.raises(SignInRefused, match="no active organization"):
            sign_in.make_sign_in_secret(org_id=org_id, clock=clock)
    enrolment.readmit(org_id="org-alpha", actor="operator:kim", clock=clock)
    assert sign_in.sign_in(secret=secret, clock=clock).org_id == "org-alpha"
