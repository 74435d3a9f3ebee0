"""Any order of events leaves the federation consistent: hypothesis drives a federation through its services."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import ledger.selectors
from federation.models import Campaign, ModelVersion, Participant, Submission, TrainingRound
from federation.selectors import parent_version
from federation.services import campaigns, reconcile, rounds
from federation.services.aggregation import claims
from flxdr.core.clock import ManualClock
from flxdr.core.errors import Conflict, FlxdrError
from flxdr.platform.models import AuditEvent
from ledger.models import Block, Proposal
from tests.support.federation import SimulatedFederation, constant_delta

MODEL = "global"
SHAPES = {"weights": (2,)}
ALLOWED = {
    ("in_progress", "aggregating"),
    ("aggregating", "verifying"),
    ("verifying", "completed"),
    ("in_progress", "failed"),
    ("aggregating", "failed"),
    ("verifying", "failed"),
}


class FederationMachine(RuleBasedStateMachine):
    """Two voting organisations and one without a key; deaths of workers and passing time included."""

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        self.clock = ManualClock(datetime(2100, 1, 1, tzinfo=UTC))
        self.federation = SimulatedFederation(self.clock)
        self.federation.enrol("org-a", "org-b")
        self.federation.enrol("org-c", algorithm=None)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.outer.__exit__(None, None, None)

    @property
    def current(self) -> TrainingRound | None:
        return TrainingRound.objects.filter(status__in=TrainingRound.OPEN).first()

    @rule()
    def start(self) -> None:
        was_open = self.current
        try:
            rounds.start_round(actor="operator", clock=self.clock)
        except Conflict:
            assert was_open is not None
        else:
            assert was_open is None

    @rule(count=st.integers(1, 3))
    def start_campaign(self, count: int) -> None:
        try:
            campaigns.start_campaign(actor="operator", rounds=count, clock=self.clock)
        except Conflict:
            assert self.current is not None or Campaign.objects.filter(status="running").exists()

    @rule(which=st.integers(0, 2), value=st.integers(-100, 100))
    @precondition(lambda self: self.current is not None)
    def submit(self, which: int, value: int) -> None:
        assert self.current is not None
        organization = self.federation.organizations[which]
        before = Submission.objects.count()
        try:
            organization.submit_delta(self.current, constant_delta(SHAPES, value))
        except FlxdrError:
            assert Submission.objects.count() == before

    @rule()
    @precondition(lambda self: self.current is not None and self.current.status == "aggregating")
    def a_worker_dies(self) -> None:
        assert self.current is not None
        claims.claim_round(self.current.round_id, self.clock)

    @rule()
    def work(self) -> None:
        self.federation.work()

    @rule(which=st.integers(0, 1), accept=st.booleans())
    def vote(self, which: int, accept: bool) -> None:
        organization = self.federation.organizations[which]
        for proposal in ledger.selectors.proposals_for(organization.org_id):
            if accept:
                organization.approve(proposal)
            else:
                organization.reject(proposal)

    @rule(seconds=st.sampled_from([1, 29, 31, 301, 601]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule()
    def reconcile(self) -> None:
        reconcile.reconcile(clock=self.clock)

    @rule()
    @precondition(lambda self: self.current is not None)
    def abort(self) -> None:
        assert self.current is not None
        rounds.abort_round(round_id=self.current.round_id, actor="operator", reason="test", clock=self.clock)

    @invariant()
    def at_most_one_round_is_open(self) -> None:
        assert TrainingRound.objects.filter(status__in=TrainingRound.OPEN).count() <= 1

    @invariant()
    def transitions_are_allowed_and_end_once(self) -> None:
        events = AuditEvent.objects.filter(kind="round.transition").order_by("id").values_list("subject", "data")
        state: dict[str, str] = {}
        for round_id, data in events:
            assert (data["from"], data["to"]) in ALLOWED
            assert state.get(round_id, "in_progress") == data["from"]
            state[round_id] = data["to"]
        for training_round in TrainingRound.objects.all():
            assert state.get(training_round.round_id, "in_progress") == training_round.status

    @invariant()
    def completed_rounds_and_release_blocks_are_the_same(self) -> None:
        completed = set(TrainingRound.objects.filter(status="completed").values_list("round_id", flat=True))
        assert completed == set(Block.objects.filter(type="release").values_list("round_id", flat=True))
        released = ModelVersion.objects.filter(status="released")
        assert completed == set(released.values_list("training_round__round_id", flat=True))
        assert sorted(released.values_list("version", flat=True)) == list(range(1, len(completed) + 1))
        newest = parent_version(MODEL)
        assert newest is None or newest.version == len(completed)

    @invariant()
    def a_candidate_belongs_to_a_verifying_round(self) -> None:
        candidates = ModelVersion.objects.filter(status="candidate")
        verifying = TrainingRound.objects.filter(status="verifying")
        assert set(candidates.values_list("training_round_id", flat=True)) == set(
            verifying.values_list("pk", flat=True)
        )
        live = Proposal.objects.filter(status__in=("queued", "open"), type="release")
        assert set(live.values_list("round_id", flat=True)) == set(verifying.values_list("round_id", flat=True))

    @invariant()
    def participants_say_who_submitted(self) -> None:
        submitted = Participant.objects.filter(status__in=("submitted", "left_out"))
        assert submitted.count() == Submission.objects.count()


@pytest.mark.django_db
def test_no_order_of_events_breaks_the_federation(sent_tasks: Any, data_dir: Any) -> None:
    run_state_machine_as_test(
        FederationMachine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    shutil.rmtree(data_dir / "blobs", ignore_errors=True)
