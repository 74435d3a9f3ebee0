"""The two-person rule: nothing happens before a second operator wants it too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from federation import selectors
from federation.errors import (
    CampaignMissing,
    CampaignStateConflict,
    ConfirmationClosed,
    ConfirmationMissing,
    ConfirmationWaiting,
    OrganizationMissing,
    OrganizationStateConflict,
    ReasonInvalid,
    RoundMissing,
    RoundStateConflict,
    SecondPersonNeeded,
)
from federation.models import Campaign, ConfirmationRequest, Organization, TrainingRound
from federation.services import campaigns, confirmations, enrolment, rounds
from federation.services.reconcile import reconcile
from flxdr.core.clock import ManualClock
from flxdr.core.errors import FlxdrError
from flxdr.platform.models import AuditEvent
from tests.federation.conftest import Stored
from tests.federation.threads import in_threads
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db
Action = ConfirmationRequest.Action
KIM, SAM, LEE = "operator:kim", "operator:sam", "operator:lee"


@pytest.fixture
def campaign(pair: SimulatedFederation, clock: ManualClock) -> Campaign:
    return campaigns.start_campaign(actor="operator", rounds=2, clock=clock)


@pytest.fixture
def subjects(campaign: Campaign) -> dict[Action, str]:
    """What each action may be asked for: an active and a suspended organisation, a campaign and its open round."""
    enrolment.suspend(org_id="org-beta", actor="operator", clock=ManualClock())
    return {
        Action.SUSPEND: "org-alpha",
        Action.READMIT: "org-beta",
        Action.ABORT_ROUND: campaign.rounds.get().round_id,
        Action.ABORT_CAMPAIGN: str(campaign.pk),
    }


def state(action: Action, subject: str) -> tuple[str, str]:
    """The status of what an action is about, and its reason where it keeps one."""
    match action:
        case Action.ABORT_ROUND:
            training_round = TrainingRound.objects.get(round_id=subject)
            return training_round.status, training_round.failure_reason
        case Action.ABORT_CAMPAIGN:
            campaign = Campaign.objects.get(pk=subject)
            return campaign.status, campaign.stop_reason
        case _:
            return Organization.objects.get(org_id=subject).status, ""


DONE = {
    Action.SUSPEND: (("active", ""), ("suspended", ""), "organization.suspended"),
    Action.READMIT: (("suspended", ""), ("active", ""), "organization.readmitted"),
    Action.ABORT_ROUND: (("in_progress", ""), ("failed", "wrong data"), "round.transition"),
    Action.ABORT_CAMPAIGN: (("running", ""), ("stopped", "aborted: wrong data"), "campaign.stopped"),
}


def ask(clock: ManualClock, action: Action, subject: str, actor: str = KIM) -> ConfirmationRequest:
    asked = confirmations.request_action(action=action, subject=subject, reason="wrong data", actor=actor, clock=clock)
    assert asked is not None
    return asked


def suspension(clock: ManualClock, actor: str = KIM) -> ConfirmationRequest:
    return ask(clock, Action.SUSPEND, "org-alpha", actor)


@pytest.mark.parametrize("action", Action)
def test_two_operators_do_it_and_both_are_named(
    clock: ManualClock, subjects: dict[Action, str], action: Action
) -> None:
    before, after, kind = DONE[action]
    asked = ask(clock, action, subjects[action])
    assert asked.status == "waiting"
    assert state(action, subjects[action]) == before
    decided = confirmations.confirm(request_id=asked.pk, actor=SAM, clock=clock)
    assert (decided.status, decided.decided_by, decided.decided_at) == ("confirmed", SAM, clock.now())
    assert state(action, subjects[action]) == after
    steps = AuditEvent.objects.filter(data__request=asked.pk).order_by("pk")
    assert [(step.kind, step.actor) for step in steps] == [
        ("confirmation.requested", KIM),
        ("confirmation.confirmed", SAM),
    ]
    assert all(step.data["requested_by"] == KIM and step.data["reason"] == "wrong data" for step in steps)
    done = AuditEvent.objects.filter(kind=kind).earliest("-pk")
    assert (done.actor, done.subject) == ("operator:kim and operator:sam", steps[0].subject)


@pytest.mark.parametrize("action", Action)
def test_nobody_confirms_alone(clock: ManualClock, subjects: dict[Action, str], action: Action, stored: Stored) -> None:
    asked = ask(clock, action, subjects[action])
    before = stored.count()
    with pytest.raises(SecondPersonNeeded):
        confirmations.confirm(request_id=asked.pk, actor=KIM, clock=clock)
    asked.refresh_from_db()
    assert (asked.status, state(action, subjects[action])) == ("waiting", DONE[action][0])
    assert stored.count() == before


@pytest.mark.parametrize(
    ("action", "subject", "refusal"),
    [
        (Action.SUSPEND, "org-nobody", OrganizationMissing),
        (Action.SUSPEND, "org-beta", OrganizationStateConflict),
        (Action.READMIT, "org-nobody", OrganizationMissing),
        (Action.READMIT, "org-alpha", OrganizationStateConflict),
        (Action.ABORT_ROUND, "round-0", RoundMissing),
        (Action.ABORT_CAMPAIGN, "999", CampaignMissing),
        (Action.ABORT_CAMPAIGN, "first", CampaignMissing),
        (Action.ABORT_CAMPAIGN, "9" * 40, CampaignMissing),
    ],
)
@pytest.mark.usefixtures("subjects")
def test_what_is_impossible_is_refused_at_once(
    clock: ManualClock, action: Action, subject: str, refusal: type[FlxdrError], stored: Stored
) -> None:
    before = stored.count()
    with pytest.raises(refusal):
        ask(clock, action, subject)
    assert stored.count() == before


def test_what_has_ended_is_not_aborted(clock: ManualClock, campaign: Campaign) -> None:
    round_id = campaign.rounds.get().round_id
    campaigns.abort_campaign(campaign_id=campaign.pk, actor="operator", reason="x", clock=clock)
    with pytest.raises(RoundStateConflict):
        ask(clock, Action.ABORT_ROUND, round_id)
    with pytest.raises(CampaignStateConflict):
        ask(clock, Action.ABORT_CAMPAIGN, str(campaign.pk))


def test_an_organization_whose_last_key_was_revoked_is_not_readmitted(clock: ManualClock, alpha: Any) -> None:
    Organization.objects.filter(org_id="org-alpha").update(status="suspended", key_status="revoked")
    with pytest.raises(OrganizationStateConflict, match="was revoked"):
        ask(clock, Action.READMIT, "org-alpha")


def test_what_has_become_impossible_waits_on(clock: ManualClock, opened: TrainingRound) -> None:
    asked = ask(clock, Action.ABORT_ROUND, opened.round_id)
    rounds.abort_round(round_id=opened.round_id, actor="coordinator", reason="x", clock=clock)
    with pytest.raises(RoundStateConflict):
        confirmations.confirm(request_id=asked.pk, actor=SAM, clock=clock)
    asked.refresh_from_db()
    assert asked.status == "waiting"
    assert not AuditEvent.objects.filter(kind="confirmation.confirmed").exists()


@pytest.mark.usefixtures("pair")
class TestOneRequest:
    def test_asking_again_is_the_same_request(self, clock: ManualClock, stored: Stored) -> None:
        first = suspension(clock)
        before = stored.count()
        assert suspension(clock).pk == first.pk
        assert stored.count() == before

    def test_another_operator_is_told_of_it(self, clock: ManualClock, stored: Stored) -> None:
        first = suspension(clock)
        before = stored.count()
        with pytest.raises(ConfirmationWaiting, match="operator:kim has asked") as refusal:
            suspension(clock, SAM)
        assert refusal.value.fields == {"request_id": first.pk}
        assert stored.count() == before

    def test_the_database_keeps_a_second_one_out(self, clock: ManualClock) -> None:
        first = suspension(clock)
        first.pk = None
        with pytest.raises(IntegrityError), transaction.atomic():
            first.save(force_insert=True)

    def test_two_that_ask_at_the_same_moment_make_one(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        suspension(clock)
        monkeypatch.setattr(confirmations, "waiting_confirmation", lambda *_: None)  # not yet to be seen
        with pytest.raises(ConfirmationWaiting):
            suspension(clock, SAM)
        assert ConfirmationRequest.objects.count() == 1

    def test_the_same_wish_of_a_second_operator_confirms(self, clock: ManualClock) -> None:
        wish: dict[str, Any] = {"action": Action.SUSPEND, "subject": "org-alpha", "reason": "", "clock": clock}
        first = confirmations.request_or_confirm(actor=KIM, **wish)
        assert first is not None
        assert confirmations.request_or_confirm(actor=KIM, **wish) == first
        second = confirmations.request_or_confirm(actor=SAM, **wish)
        assert second is not None
        assert (second.pk, second.status) == (first.pk, "confirmed")
        assert state(Action.SUSPEND, "org-alpha")[0] == "suspended"

    @pytest.mark.parametrize("reason", ["x" * 301, "line\nline", "turn\u202eed"])
    def test_a_reason_is_one_readable_line(self, clock: ManualClock, reason: str, stored: Stored) -> None:
        before = stored.count()
        with pytest.raises(ReasonInvalid):
            confirmations.request_action(
                action=Action.SUSPEND, subject="org-alpha", reason=reason, actor=KIM, clock=clock
            )
        assert stored.count() == before


@pytest.mark.usefixtures("pair")
class TestDecided:
    @pytest.mark.parametrize("actor", [KIM, SAM])
    def test_anybody_gives_it_up(self, clock: ManualClock, actor: str) -> None:
        asked = suspension(clock)
        cancelled = confirmations.cancel(request_id=asked.pk, actor=actor, clock=clock)
        assert (cancelled.status, cancelled.decided_by) == ("cancelled", actor)
        assert AuditEvent.objects.get(kind="confirmation.cancelled").actor == actor
        with pytest.raises(ConfirmationClosed, match="cancelled"):
            confirmations.confirm(request_id=asked.pk, actor=SAM, clock=clock)
        assert state(Action.SUSPEND, "org-alpha")[0] == "active"
        assert suspension(clock).pk != asked.pk

    def test_it_is_decided_once(self, clock: ManualClock, stored: Stored) -> None:
        asked = suspension(clock)
        confirmations.confirm(request_id=asked.pk, actor=SAM, clock=clock)
        before = stored.count()
        with pytest.raises(ConfirmationClosed, match="confirmed"):
            confirmations.confirm(request_id=asked.pk, actor=LEE, clock=clock)
        with pytest.raises(ConfirmationClosed, match="confirmed"):
            confirmations.cancel(request_id=asked.pk, actor=KIM, clock=clock)
        assert stored.count() == before

    @pytest.mark.parametrize("decide", [confirmations.confirm, confirmations.cancel])
    def test_who_comes_second_at_the_same_moment_does_nothing(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, decide: Callable[..., object]
    ) -> None:
        asked = suspension(clock)
        confirmations.cancel(request_id=asked.pk, actor=KIM, clock=clock)
        monkeypatch.setattr(confirmations, "_request", lambda _: asked)  # as it was read before
        with pytest.raises(ConfirmationClosed, match="at this moment"):
            decide(request_id=asked.pk, actor=SAM, clock=clock)
        assert state(Action.SUSPEND, "org-alpha")[0] == "active"
        assert AuditEvent.objects.filter(data__request=asked.pk).count() == 2

    @pytest.mark.parametrize("decide", [confirmations.confirm, confirmations.cancel])
    def test_an_unknown_one_is_missing(self, clock: ManualClock, decide: Callable[..., object]) -> None:
        with pytest.raises(ConfirmationMissing):
            decide(request_id=999, actor=SAM, clock=clock)

    def test_the_database_knows_the_second_person(self, clock: ManualClock) -> None:
        asked = ConfirmationRequest.objects.filter(pk=suspension(clock).pk)
        with pytest.raises(IntegrityError, match="second_person"), transaction.atomic():
            asked.update(status="confirmed", decided_by=KIM, decided_at=clock.now())
        with pytest.raises(IntegrityError, match="decided_by_somebody"), transaction.atomic():
            asked.update(status="confirmed")


@pytest.mark.usefixtures("pair")
class TestExpiry:
    def test_a_day_later_it_is_too_late(self, clock: ManualClock) -> None:
        asked = suspension(clock)
        clock.advance(timedelta(hours=24))
        for decide in (confirmations.confirm, confirmations.cancel):
            with pytest.raises(ConfirmationClosed, match="expired"):
                decide(request_id=asked.pk, actor=SAM, clock=clock)
        assert state(Action.SUSPEND, "org-alpha")[0] == "active"
        assert selectors.waiting_confirmations(clock.now()) == []

    def test_just_before_it_is_not(self, clock: ManualClock) -> None:
        asked = suspension(clock)
        clock.advance(timedelta(hours=24) - timedelta(seconds=1))
        assert selectors.waiting_confirmations(clock.now()) == [asked]
        assert confirmations.confirm(request_id=asked.pk, actor=SAM, clock=clock).status == "confirmed"

    def test_the_beat_closes_it(self, clock: ManualClock) -> None:
        asked = suspension(clock)
        clock.advance(timedelta(hours=24))
        for _ in range(2):
            reconcile(clock=clock)
        asked.refresh_from_db()
        assert (asked.status, asked.decided_by) == ("expired", "coordinator")
        assert AuditEvent.objects.get(kind="confirmation.expired").subject == "org-alpha"

    def test_it_is_not_in_the_way_of_a_new_one(self, clock: ManualClock) -> None:
        old = suspension(clock)
        clock.advance(timedelta(hours=24))
        new = suspension(clock, SAM)
        old.refresh_from_db()
        assert (old.status, new.status) == ("expired", "waiting")


@pytest.mark.parametrize("service", [confirmations.request_action, confirmations.request_or_confirm])
@pytest.mark.parametrize("action", Action)
def test_without_the_rule_it_happens_at_once(
    clock: ManualClock, subjects: dict[Action, str], env: Any, service: Any, action: Action
) -> None:
    env(two_person=False)
    done = service(action=action, subject=subjects[action], reason="wrong data", actor=KIM, clock=clock)
    assert done is None
    assert state(action, subjects[action]) == DONE[action][1]
    assert not ConfirmationRequest.objects.exists()
    assert list(AuditEvent.objects.filter(actor=KIM, kind=DONE[action][2]).values_list("actor")) == [(KIM,)]


def test_the_page_tells_of_all_in_bounded_queries(
    clock: ManualClock, subjects: dict[Action, str], django_assert_num_queries: Any
) -> None:
    for action in Action:
        ask(clock, action, subjects[action])
    confirmations.cancel(request_id=ConfirmationRequest.objects.earliest("pk").pk, actor=SAM, clock=clock)
    with django_assert_num_queries(2):
        page = selectors.confirmations_page(limit=3, offset=1)
    assert (page["total"], len(page["confirmations"])) == (4, 3)
    oldest = page["confirmations"][-1]
    assert (oldest["action"], oldest["status"], oldest["decided_by"]) == ("suspend", "cancelled", SAM)
    with django_assert_num_queries(1):
        waiting = selectors.waiting_confirmations(clock.now())
    assert [row.action for row in waiting] == [Action.READMIT, Action.ABORT_ROUND, Action.ABORT_CAMPAIGN]


@pytest.mark.django_db(transaction=True)
def test_two_who_decide_at_once_decide_once(pair: SimulatedFederation, clock: ManualClock) -> None:
    asked = suspension(clock)
    answers = in_threads(
        *(partial(confirmations.confirm, request_id=asked.pk, actor=actor, clock=clock) for actor in (SAM, LEE)),
        partial(confirmations.cancel, request_id=asked.pk, actor=KIM, clock=clock),
    )
    decided = [answer for answer in answers if isinstance(answer, ConfirmationRequest)]
    refused = [answer for answer in answers if isinstance(answer, ConfirmationClosed)]
    assert (len(decided), len(refused)) == (1, 2), answers
    is_confirmed = decided[0].status == "confirmed"
    assert state(Action.SUSPEND, "org-alpha")[0] == ("suspended" if is_confirmed else "active")
    assert AuditEvent.objects.filter(kind="organization.suspended").count() == int(is_confirmed)
