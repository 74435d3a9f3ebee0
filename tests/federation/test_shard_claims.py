"""Every shard is worked on once, whoever dies or races on the way, and the round ends once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from federation.aggregation import engine
from federation.errors import SubmissionDamaged
from federation.models import ModelVersion, TrainingRound
from federation.services import aggregation, reconcile
from federation.services.aggregation import claims, pieces, proposal, work
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage import scratch
from flxdr.platform.storage.folder import FolderStore
from ledger.models import Proposal
from tests.federation.sharded_rounds import (
    FEWEST,
    SIZE,
    STEP_SHARDS,
    WIDTH,
    begin,
    result,
    start,
    undone,
    work_off,
)
from tests.federation.threads import in_threads
from tests.support.federation import SimulatedFederation


@pytest.mark.django_db
class TestClaims:
    def test_a_shard_is_worked_on_once(self, large: TrainingRound, clock: ManualClock) -> None:
        (shard, *_) = begin(large, clock)
        assert claims.claim_shard(shard.pk, clock) is not None
        assert claims.claim_shard(shard.pk, clock) is None
        assert not aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)

    def test_a_finished_shard_is_not_worked_on_again(self, large: TrainingRound, clock: ManualClock) -> None:
        (shard, *_) = begin(large, clock)
        assert aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        assert not aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)

    def test_a_dead_workers_shard_is_retaken_after_its_lease(self, large: TrainingRound, clock: ManualClock) -> None:
        shards = begin(large, clock)
        dead = claims.claim_shard(shards[0].pk, clock)
        assert dead is not None
        clock.advance(aggregation.LEASE - timedelta(seconds=1))
        assert shards[0].pk not in [task.kwargs["shard_id"] for task in reconcile.due(clock=clock)]
        clock.advance(timedelta(seconds=1))
        assert next(reconcile.due(clock=clock)).kwargs == {"shard_id": shards[0].pk}
        assert aggregation.aggregate_shard(shard_id=shards[0].pk, clock=clock)
        with pytest.raises(claims.Superseded):
            dead.renew()

    def test_lost_messages_are_found_by_reconcile(
        self, large: TrainingRound, clock: ManualClock, sent_tasks: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        shards = begin(large, clock)
        with django_capture_on_commit_callbacks(execute=True):
            told = reconcile.reconcile(clock=clock)
        assert told == [f"federation.tasks.aggregate_shard(shard_id={shard.pk})" for shard in shards]
        assert sent_tasks.names == ["federation.tasks.aggregate_shard"] * STEP_SHARDS
        for shard in shards:
            aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        assert reconcile.reconcile(clock=clock) == [f"federation.tasks.aggregate_round(round_id={large.round_id})"]

    def test_busy_workers_are_not_flooded(
        self, federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env]
    ) -> None:
        env(aggregation_shard_values=SIZE // 40 * FEWEST)
        shards = begin(start(federation, clock), clock)
        sent = [task.kwargs["shard_id"] for task in reconcile.due(clock=clock)]
        assert sent == [shard.pk for shard in shards[: reconcile.SHARDS_AT_ONCE]]

    def test_a_slow_worker_keeps_its_shard(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (shard, *_) = begin(large, clock)
        monkeypatch.setattr(work, "_PORTION_WIDTH", WIDTH // 4)
        original = engine.measure

        def slow(*args: Any, **kwargs: Any) -> Any:
            clock.advance(aggregation.LEASE - timedelta(seconds=1))
            assert shard.pk not in [task.kwargs["shard_id"] for task in reconcile.due(clock=clock)]
            return original(*args, **kwargs)

        monkeypatch.setattr(engine, "measure", slow)
        assert aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)

    @pytest.mark.parametrize("ending", ["result", "refusal", "trouble", "loss"])
    def test_a_late_worker_does_not_touch_its_successors_shard(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        (shard, *_) = begin(large, clock)
        original = work.measured
        successors = []
        endings = {
            "refusal": SubmissionDamaged("seen too late"),
            "trouble": OperationalError("database is locked"),
            "loss": pieces.PiecesLost(),
        }

        def late(*args: Any) -> Any:
            products = original(*args)
            clock.advance(aggregation.LEASE)
            successors.append(claims.claim_shard(shard.pk, clock))
            if ending in endings:
                raise endings[ending]
            return products

        monkeypatch.setattr(work, "measured", late)
        try:
            assert not aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        except OperationalError:
            assert ending == "trouble"
        (successor,) = successors
        assert successor is not None
        shard.refresh_from_db()
        large.refresh_from_db()
        assert (shard.status, shard.token, large.status) == ("waiting", successor.token, "aggregating")

    def test_killed_between_any_two_steps(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever a worker was doing when it died, the round ends once and with the same model."""
        with undone():
            work_off(large, clock)
            expected = result(large)

        class Killed(BaseException):
            pass

        def killed(*_: Any, **__: Any) -> None:
            raise Killed

        moments = ((FolderStore, "verify"), (work, "measured"), (pieces, "put_products"), (work, "combined"))
        for module, name in (*moments, (pieces, "put_part"), (proposal, "outcome"), (proposal, "commit")):
            with monkeypatch.context() as patched:
                patched.setattr(module, name, killed)
                with pytest.raises(Killed):
                    work_off(large, clock)
            clock.advance(aggregation.LEASE)
        work_off(large, clock)
        assert result(large) == expected
        assert Proposal.objects.filter(round_id=large.round_id).count() == 1
        assert AuditEvent.objects.filter(kind="round.transition", data__to="verifying").count() == 1


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_workers_at_once_propose_one_model(
        self, shared: None, federation: SimulatedFederation, clock: ManualClock, sent_tasks: Any
    ) -> None:
        training_round = start(federation, clock)

        def worker() -> int:
            """Run whatever is due, whoever else may be running it, until the model is proposed."""
            finished = 0
            while TrainingRound.objects.get(pk=training_round.pk).status == "aggregating":
                for task in list(reconcile.due(clock=clock)):
                    if "shard_id" in task.kwargs:
                        finished += aggregation.aggregate_shard(shard_id=int(task.kwargs["shard_id"]), clock=clock)
                    else:
                        aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
            return finished

        assert sum(in_threads(*[worker] * 4)) == 2 * STEP_SHARDS
        assert ModelVersion.objects.filter(training_round=training_round).count() == 1
        assert Proposal.objects.filter(round_id=training_round.round_id).count() == 1
        assert scratch.stores() == []
