"""When a collection ends, and how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from federation.errors import RoundMissing, RoundStateConflict
from federation.models import ModelVersion, Organization, TrainingRound
from federation.selectors import round_status
from federation.services import reconcile, rounds
from federation.services.transitions import move
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from ledger.models import Block, Proposal
from tests.support.factories import json_update
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

pytestmark = pytest.mark.django_db
NAMES = ("org-a", "org-b", "org-c", "org-d")
Status = TrainingRound.Status


@pytest.fixture
def four(federation: SimulatedFederation) -> SimulatedFederation:
    federation.enrol(*NAMES, algorithm=None)
    return federation


def submit(federation: SimulatedFederation, training_round: TrainingRound, *names: str) -> None:
    for organization in federation.organizations:
        if organization.org_id in names:
            organization.submit(json_update(training_round.round_id, organization.org_id))


def test_the_last_submission_ends_it_at_once(
    four: SimulatedFederation, clock: ManualClock, sent_tasks: Any, django_capture_on_commit_callbacks: Any
) -> None:
    started = rounds.start_round(actor="operator", clock=clock)
    submit(four, started, *NAMES[:3])
    started.refresh_from_db()
    assert started.status == "in_progress"
    with django_capture_on_commit_callbacks(execute=True):
        submit(four, started, NAMES[3])
    started.refresh_from_db()
    assert (started.status, started.closed_at) == ("aggregating", clock.now())
    assert ("federation.tasks.aggregate_round", (), {"round_id": started.round_id}) in sent_tasks.waiting


def test_before_the_deadline_nothing_is_due(four: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(actor="operator", clock=clock)
    submit(four, started, *NAMES[:3])
    assert not rounds.close_collection(round_id=started.round_id, clock=clock)
    clock.advance(timedelta(seconds=599))
    assert reconcile.reconcile(clock=clock) == []
    started.refresh_from_db()
    assert started.status == "in_progress"


def test_at_the_deadline_enough_go_on(four: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(actor="operator", clock=clock)
    submit(four, started, *NAMES[:3])
    clock.advance(timedelta(seconds=600))
    assert reconcile.reconcile(clock=clock) == [f"federation.tasks.aggregate_round(round_id={started.round_id})"]
    four.settle()
    started.refresh_from_db()
    assert started.status == "completed"
    assert round_status(started)["missing"] == ["org-d"]
    assert Organization.objects.get(org_id="org-d").missed_count == 1
    assert Organization.objects.get(org_id="org-a").accepted_count == 1


def test_too_few_fail_with_the_names(four: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(actor="operator", min_orgs=3, clock=clock)
    submit(four, started, *NAMES[:2])
    clock.advance(timedelta(seconds=600))
    assert reconcile.reconcile(clock=clock) == []
    started.refresh_from_db()
    assert (started.status, started.failure_code) == ("failed", "too_few_submissions")
    assert started.failure_reason == "2 of 4 organizations submitted, 3 are needed; missing: org-c, org-d"
    assert started.finished_at == clock.now()
    assert not ModelVersion.objects.filter(training_round=started).exists()


@pytest.mark.parametrize(("rate", "status"), [(0.5, "aggregating"), (0.49, "failed"), (1.0, "aggregating")])
def test_the_failure_rate_is_a_bound(
    four: SimulatedFederation, clock: ManualClock, env: Any, rate: float, status: str
) -> None:
    env(max_org_failure_rate=rate)
    started = rounds.start_round(actor="operator", min_orgs=2, clock=clock)
    submit(four, started, *NAMES[:2])
    clock.advance(timedelta(seconds=600))
    reconcile.reconcile(clock=clock)
    started.refresh_from_db()
    assert started.status == status
    if status == "failed":
        assert started.failure_code == "failure_rate_exceeded"
        assert "missing: org-c, org-d" in started.failure_reason


def test_a_rate_of_three_tenths_of_ten_is_three(federation: SimulatedFederation, clock: ManualClock) -> None:
    names = [f"org-{number}" for number in range(10)]
    federation.enrol(*names, algorithm=None)
    started = rounds.start_round(actor="operator", clock=clock)
    submit(federation, started, *names[:7])
    clock.advance(timedelta(seconds=600))
    reconcile.reconcile(clock=clock)
    started.refresh_from_db()
    assert started.status == "aggregating"


def test_every_transition_is_recorded_once(four: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(actor="operator", clock=clock)
    submit(four, started, *NAMES)
    four.settle()
    events = AuditEvent.objects.filter(kind="round.transition", subject=started.round_id).order_by("id")
    assert [(event.data["from"], event.data["to"]) for event in events] == [
        ("in_progress", "aggregating"),
        ("aggregating", "verifying"),
        ("verifying", "completed"),
    ]
    assert all(event.actor and event.data["reason"] for event in events)


class TestAbort:
    def test_while_collecting(self, four: SimulatedFederation, clock: ManualClock) -> None:
        started = rounds.start_round(actor="operator", clock=clock)
        rounds.abort_round(round_id=started.round_id, actor="operator:kim", reason="wrong data", clock=clock)
        started.refresh_from_db()
        assert (started.status, started.failure_code, started.failure_reason) == ("failed", "aborted", "wrong data")
        assert AuditEvent.objects.get(kind="round.transition").actor == "operator:kim"

    def test_while_aggregating_no_model_comes_of_it(self, four: SimulatedFederation, clock: ManualClock) -> None:
        started = rounds.start_round(actor="operator", clock=clock)
        submit(four, started, *NAMES)
        rounds.abort_round(round_id=started.round_id, actor="operator", reason="x", clock=clock)
        four.settle()
        assert not Proposal.objects.exists()

    def test_while_verifying_the_proposal_is_withdrawn(
        self, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        federation.enrol("org-a", "org-b")
        started = rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock)
        federation.submit_all(started, constant_delta(shapes_of("edge-normaliser"), 1))
        federation.work()
        height = Block.objects.count()
        rounds.abort_round(round_id=started.round_id, actor="operator", reason="x", clock=clock)
        federation.settle()
        started.refresh_from_db()
        assert (started.status, started.failure_code) == ("failed", "aborted")
        assert Proposal.objects.get(round_id=started.round_id).status == "withdrawn"
        assert ModelVersion.objects.get(training_round=started).status == "refused"
        assert Block.objects.count() == height

    def test_a_round_that_has_ended_stays_as_it_is(self, four: SimulatedFederation, clock: ManualClock) -> None:
        started = rounds.start_round(actor="operator", clock=clock)
        submit(four, started, *NAMES)
        four.settle()
        with pytest.raises(RoundStateConflict):
            rounds.abort_round(round_id=started.round_id, actor="operator", reason="x", clock=clock)

    def test_an_unknown_round(self, db: None, clock: ManualClock) -> None:
        with pytest.raises(RoundMissing):
            rounds.abort_round(round_id="round-0", actor="operator", reason="x", clock=clock)


@pytest.mark.parametrize("source", [Status.AGGREGATING, Status.VERIFYING, Status.COMPLETED, Status.FAILED])
def test_a_transition_from_another_status_does_nothing(
    four: SimulatedFederation, clock: ManualClock, source: Status
) -> None:
    started = rounds.start_round(actor="operator", clock=clock)
    events = AuditEvent.objects.count()
    moved = move(
        round_id=started.round_id,
        source=source,
        target=Status.COMPLETED,
        actor="test",
        reason="test",
        clock=clock,
    )
    started.refresh_from_db()
    assert (moved, started.status, AuditEvent.objects.count()) == (False, "in_progress", events)


def test_a_failed_round_says_why_in_the_database_too(four: SimulatedFederation, clock: ManualClock) -> None:
    started = rounds.start_round(actor="operator", clock=clock)
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainingRound.objects.filter(pk=started.pk).update(status="failed")
