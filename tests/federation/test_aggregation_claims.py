"""Exactly one aggregation a round, whoever dies or races on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from federation.errors import SubmissionDamaged
from federation.models import ModelVersion, Submission, TrainingRound
from federation.services import aggregation, reconcile, rounds
from federation.services.aggregation import proposal, whole
from federation.services.aggregation.claims import RoundClaim, claim_round
from flxdr.core.clock import ManualClock
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage.folder import FolderStore
from ledger.models import Proposal
from tests.federation.closed_rounds import MODEL, NAMES, SHAPES, collected
from tests.federation.threads import in_threads
from tests.support.federation import SimulatedFederation, constant_delta


@pytest.mark.django_db
class TestDeadWorkers:
    def test_while_a_worker_lives_nobody_else_gets_the_round(
        self, federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training_round = collected(federation, clock)
        self._die(training_round, clock, monkeypatch)
        clock.advance(aggregation.LEASE - timedelta(seconds=1))
        assert reconcile.reconcile(clock=clock) == []
        assert not aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)

    def test_after_its_lease_another_one_finishes_once(
        self, federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training_round = collected(federation, clock)
        self._die(training_round, clock, monkeypatch)
        clock.advance(aggregation.LEASE)
        assert reconcile.reconcile(clock=clock) == [
            f"federation.tasks.aggregate_round(round_id={training_round.round_id})"
        ]
        assert aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        assert not aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        federation.settle()
        assert Proposal.objects.filter(round_id=training_round.round_id).count() == 1
        assert ModelVersion.objects.filter(training_round=training_round).count() == 1

    @pytest.mark.parametrize(("module", "name"), [(whole, "aggregate"), (proposal, "commit")])
    def test_a_worker_that_slept_past_its_lease_changes_nothing(
        self,
        federation: SimulatedFederation,
        clock: ManualClock,
        monkeypatch: pytest.MonkeyPatch,
        module: Any,
        name: str,
    ) -> None:
        training_round = collected(federation, clock)
        original: Callable[..., Any] = getattr(module, name)
        answers = []

        def overtaken(claim: RoundClaim, *rest: Any) -> Any:
            monkeypatch.setattr(module, name, original)
            clock.advance(aggregation.LEASE)
            answers.append(aggregation.aggregate_round(round_id=training_round.round_id, clock=clock))
            return original(claim, *rest)

        monkeypatch.setattr(module, name, overtaken)
        answers.append(aggregation.aggregate_round(round_id=training_round.round_id, clock=clock))
        assert answers == [True, False]
        assert Proposal.objects.filter(round_id=training_round.round_id).count() == 1
        assert AuditEvent.objects.filter(kind="round.transition", data__to="verifying").count() == 1

    @pytest.mark.parametrize("ending", ["commit", "refusal", "trouble"])
    def test_what_it_does_late_does_not_touch_its_successors_claim(
        self, federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        training_round = collected(federation, clock)
        original = proposal.commit
        successors: list[RoundClaim | None] = []

        def late(claim: RoundClaim, outcome: proposal.Outcome) -> bool:
            clock.advance(aggregation.LEASE)
            successors.append(claim_round(training_round.round_id, clock))
            if ending == "refusal":
                raise SubmissionDamaged("seen too late")
            if ending == "trouble":
                raise OperationalError("database is locked")
            return original(claim, outcome)

        monkeypatch.setattr(proposal, "commit", late)
        with pytest.raises(OperationalError) if ending == "trouble" else nullcontext():
            assert not aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        (successor,) = successors
        assert successor is not None
        training_round.refresh_from_db()
        assert (training_round.status, training_round.token) == ("aggregating", successor.token)
        assert not Proposal.objects.filter(round_id=training_round.round_id).exists()

    def test_a_slow_worker_keeps_its_round_between_its_steps(
        self, federation: SimulatedFederation, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        training_round = collected(federation, clock)
        original = FolderStore.verify

        def slow(self: FolderStore, digest: str) -> Path:
            clock.advance(aggregation.LEASE - timedelta(seconds=1))
            assert list(reconcile.due(clock=clock)) == []
            return original(self, digest)

        monkeypatch.setattr(FolderStore, "verify", slow)
        assert aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)

    def _die(self, training_round: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker that claims the round and is killed before it commits: no handler of its own runs."""

        class Killed(BaseException):
            pass

        def killed(*_: Any) -> None:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(proposal, "commit", killed)
            with pytest.raises(Killed):
                aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        training_round.refresh_from_db()
        assert training_round.status == "aggregating"
        assert training_round.token


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_many_workers_propose_one_model(
        self, federation: SimulatedFederation, clock: ManualClock, sent_tasks: Any
    ) -> None:
        training_round = collected(federation, clock)

        def work() -> bool:
            return aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)

        assert sorted(in_threads(*[work] * 4)) == [False, False, False, True]
        assert ModelVersion.objects.filter(training_round=training_round).count() == 1
        assert Proposal.objects.filter(round_id=training_round.round_id).count() == 1

    def test_concurrent_submitters_all_count_and_the_round_closes_once(
        self, federation: SimulatedFederation, clock: ManualClock, sent_tasks: Any
    ) -> None:
        organizations = federation.enrol(*NAMES, algorithm=None)
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        delta = constant_delta(SHAPES, 1)
        answers = in_threads(*[lambda o=o: o.submit_delta(started, delta).pk for o in organizations])
        assert sorted(answers) == sorted(Submission.objects.values_list("pk", flat=True))
        started.refresh_from_db()
        assert started.status == "aggregating"
        assert sent_tasks.names.count("federation.tasks.aggregate_round") == 1

    def test_the_same_body_twice_at_once_is_one_submission(
        self, federation: SimulatedFederation, clock: ManualClock, sent_tasks: Any
    ) -> None:
        (alpha, _) = federation.enrol(*NAMES[:2], algorithm=None)
        started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock)
        delta = constant_delta(SHAPES, 1)
        answers = in_threads(*[lambda: alpha.submit_delta(started, delta).gradient_id] * 4)
        assert len(set(answers)) == 1
        assert Submission.objects.count() == 1

    def test_of_two_first_shapes_one_wins(
        self, federation: SimulatedFederation, clock: ManualClock, sent_tasks: Any
    ) -> None:
        (alpha, beta) = federation.enrol(*NAMES[:2], algorithm=None)
        started = rounds.start_round(actor="operator", clock=clock)
        one, two = constant_delta({"weights": (2, 2)}, 1), constant_delta({"weights": (3,)}, 1)
        answers = in_threads(lambda: alpha.submit_delta(started, one).pk, lambda: beta.submit_delta(started, two).pk)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        assert [getattr(answer, "code", answer) for answer in refused] == ["schema_mismatch"]
        assert Submission.objects.count() == 1

    def test_of_concurrent_starts_one_wins(
        self, federation: SimulatedFederation, clock: ManualClock, sent_tasks: Any
    ) -> None:
        federation.enrol(*NAMES[:2], algorithm=None)
        answers = in_threads(*[lambda: rounds.start_round(actor="operator", clock=clock).round_id] * 4)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        assert [getattr(answer, "code", answer) for answer in refused] == ["round_open"] * 3
        assert TrainingRound.objects.count() == 1
