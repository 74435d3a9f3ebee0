"""Large rounds: shared by ranges of coordinates, with the model that one worker alone would make."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, OperationalError, transaction

from federation.aggregation import engine, registry
from federation.errors import SubmissionDamaged
from federation.models import AggregationShard, ModelVersion, Participant, Submission, TrainingRound
from federation.services import aggregation, reconcile, rounds
from federation.services.aggregation import claims, pieces, proposal, work
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.platform.models import AuditEvent
from flxdr.platform.storage import scratch
from flxdr.platform.storage.blobs import BlobStore, blobs
from ledger.models import Proposal
from models_ml.fixed_point import SCALE
from tests.federation.closed_rounds import MODEL, SHAPES
from tests.federation.threads import in_threads
from tests.support.federation import SimulatedFederation

NAMES = tuple(f"org-{letter}" for letter in "abcdefg")  # as many as Bulyan needs
SIZE = sum(math.prod(shape) for shape in SHAPES.values())
STEP_SHARDS = 5
WIDTH = SIZE // STEP_SHARDS + 3  # the last range is shorter
FEWEST = 16  # as many updates count at least where ranges are cut
CHOICES = [(choice["method"], choice["robust_method"]) for choice in registry.describe()]
SHARDED = [*["measure"] * STEP_SHARDS, *["combine"] * STEP_SHARDS]


def start(federation: SimulatedFederation, clock: ManualClock, seed: int = 0, **parameters: Any) -> TrainingRound:
    """A round of seven different updates whose collection has ended."""
    if not federation.organizations:
        federation.enrol(*NAMES, algorithm=None)
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock, **parameters)
    rng = np.random.default_rng(seed)
    for number, organization in enumerate(federation.organizations):
        delta = {
            name: np.rint(rng.normal(0, 0.02 * (number + 1), shape) * SCALE).astype(np.int32)
            for name, shape in SHAPES.items()
        }
        organization.submit_delta(started, delta, samples=100 + 17 * number)
    started.refresh_from_db()
    assert started.status == "aggregating"
    return started


def chosen(method: str, robust: str | None) -> dict[str, Any]:
    parameters = {} if robust is None else {registry.ROBUST_METHOD: robust}
    return {"aggregation_method": method, "aggregation_params": parameters}


@pytest.fixture
def shared(env: Callable[..., Env]) -> None:
    """Workers take a fifth of the model's coordinates at a time."""
    env(aggregation_shard_values=WIDTH * FEWEST)


@pytest.fixture
def large(shared: None, federation: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    """A round that workers will share; nobody has begun."""
    return start(federation, clock)


def begin(training_round: TrainingRound, clock: ManualClock) -> list[AggregationShard]:
    """The first step's shards."""
    assert not aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
    return list(training_round.shards.all())


def work_off(training_round: TrainingRound, clock: ManualClock) -> list[str]:
    """Do what the rows say is due until nothing is; the steps of the shards that were worked on."""
    steps = []
    while tasks := list(reconcile.due(clock=clock)):
        for task in tasks:
            if "shard_id" in task.kwargs:
                steps.append(AggregationShard.objects.get(pk=task.kwargs["shard_id"]).step)
                assert aggregation.aggregate_shard(shard_id=int(task.kwargs["shard_id"]), clock=clock)
            else:
                aggregation.aggregate_round(round_id=str(task.kwargs["round_id"]), clock=clock)
    training_round.refresh_from_db()
    return steps


def result(training_round: TrainingRound) -> dict[str, Any]:
    """Everything that an aggregation writes down, apart from what belongs to the attempt."""
    assert training_round.status == "verifying"
    version = ModelVersion.objects.get(training_round=training_round)
    parts = Participant.objects.filter(training_round=training_round).values_list(
        "organization__org_id", "status", "left_out_reason", "update_norm", "cosine", "distance", "anomaly_score"
    )
    return {
        "model": version.model_hash,
        "file": blobs().get(version.blob_digest),
        "state": version.optimizer_state_digest,
        "norm": pytest.approx(training_round.convergence_metric),
        "participants": list(parts),
    }


@contextmanager
def undone() -> Iterator[None]:
    """What the block writes to the database is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.django_db
class TestSameModel:
    @pytest.mark.parametrize(("method", "robust"), CHOICES)
    def test_whole_and_shared_give_the_same_for_every_strategy(
        self,
        federation: SimulatedFederation,
        clock: ManualClock,
        env: Callable[..., Env],
        method: str,
        robust: str | None,
    ) -> None:
        """In the second round too, where a server optimiser goes on with the state of the first."""
        for seed in range(2):
            training_round = start(federation, clock, seed, **chosen(method, robust))
            with undone():
                assert work_off(training_round, clock) == []
                whole = result(training_round)
            with undone():
                env(aggregation_shard_values=SIZE // 11 * FEWEST)
                assert work_off(training_round, clock) == ["measure"] * 12 + ["combine"] * 12
                assert result(training_round) == whole
            env(aggregation_shard_values=WIDTH * FEWEST)
            assert work_off(training_round, clock) == SHARDED
            assert result(training_round) == whole
            env(aggregation_shard_values=2**26)
            federation.settle()

    def test_a_server_optimiser_goes_on_with_the_state_that_was_stored(
        self, shared: None, federation: SimulatedFederation, clock: ManualClock
    ) -> None:
        digests = []
        for seed in range(2):
            training_round = start(federation, clock, seed, aggregation_method="FedAdam")
            federation.settle()
            digests.append(ModelVersion.objects.get(training_round=training_round).optimizer_state_digest)
            blobs().verify(digests[-1])
        assert digests[0] != digests[1]
        anew = start(federation, clock, seed=1, aggregation_method="FedYogi")
        assert work_off(anew, clock) == SHARDED
        assert result(anew)["state"] not in digests

    def test_portions_do_not_matter(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with undone():
            work_off(large, clock)
            expected = result(large)
        monkeypatch.setattr(work, "_PORTION_WIDTH", WIDTH // 7)
        work_off(large, clock)
        assert result(large) == expected


@pytest.mark.django_db
class TestSteps:
    def test_small_rounds_have_no_shards(self, federation: SimulatedFederation, clock: ManualClock) -> None:
        training_round = start(federation, clock)
        assert aggregation.aggregate_round(round_id=training_round.round_id, clock=clock)
        assert not AggregationShard.objects.exists()

    def test_the_ranges_cover_every_coordinate_once(self, large: TrainingRound, clock: ManualClock) -> None:
        shards = begin(large, clock)
        ends = [(shard.start, shard.stop) for shard in shards]
        assert ends == [(start, min(start + WIDTH, SIZE)) for start in range(0, SIZE, WIDTH)]
        assert len(ends) == STEP_SHARDS
        assert {shard.step for shard in shards} == {"measure"}
        large.refresh_from_db()
        assert (large.status, large.token, large.lease_until) == ("aggregating", "", None)

    @pytest.mark.parametrize(("count", "size", "expected"), [(200, 1000, 20), (16, 1000, 2), (2, 1000, 2), (1, 500, 1)])
    def test_a_worker_reads_so_many_values_and_holds_a_sixteenth(
        self, env: Callable[..., Env], count: int, size: int, expected: int
    ) -> None:
        env(aggregation_shard_values=10_000 if count > 1 else 8000)
        spans = work.ranges(count, size)
        assert len(spans) == expected
        assert [span.start for span in spans[1:]] == [span.stop for span in spans[:-1]]
        assert (spans[0].start, spans[-1].stop) == (0, size)

    def test_the_round_waits_for_its_last_shard(self, large: TrainingRound, clock: ManualClock) -> None:
        shards = begin(large, clock)
        for shard in shards[:-1]:
            assert aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        assert claims.claim_round(large.round_id, clock) is None
        assert [task.kwargs for task in reconcile.due(clock=clock)] == [{"shard_id": shards[-1].pk}]

    def test_each_step_sends_its_messages_and_the_last_shard_asks_for_the_next(
        self, large: TrainingRound, clock: ManualClock, sent_tasks: Any, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            shards = begin(large, clock)
        assert sent_tasks.waiting == [
            ("federation.tasks.aggregate_shard", (), {"shard_id": shard.pk}) for shard in shards
        ]
        for shard in shards[:-1]:
            with django_capture_on_commit_callbacks(execute=True):
                aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        assert len(sent_tasks.waiting) == STEP_SHARDS
        with django_capture_on_commit_callbacks(execute=True):
            aggregation.aggregate_shard(shard_id=shards[-1].pk, clock=clock)
        assert sent_tasks.waiting[-1] == ("federation.tasks.aggregate_round", (), {"round_id": large.round_id})

    def test_pieces_are_thrown_away_and_rows_stay(
        self, large: TrainingRound, clock: ManualClock, django_capture_on_commit_callbacks: Any
    ) -> None:
        begin(large, clock)
        with django_capture_on_commit_callbacks(execute=True):
            work_off(large, clock)
        assert scratch.stores() == []
        assert set(large.shards.values_list("status", flat=True)) == {"done"}

    def test_what_a_dead_worker_left_is_thrown_away_later(self, large: TrainingRound, clock: ManualClock) -> None:
        begin(large, clock)
        scratch.scratch(large.round_id).put(b"piece")
        scratch.scratch("round-0-gone").put(b"piece")
        reconcile.reconcile(clock=clock)
        assert scratch.stores() == [large.round_id]

    def test_products_beyond_64_bits_survive_their_file(self, large: TrainingRound) -> None:
        products = np.array([[2**200, -(2**70)], [-(2**70), 3]], dtype=object)
        digest = pieces.put_products(large, products)
        assert pieces.products(large, digest).tolist() == products.tolist()

    def test_ranges_are_unique_and_not_empty(self, large: TrainingRound) -> None:
        AggregationShard.objects.create(training_round=large, step="measure", start=0, stop=1)
        for fields in ({"start": 0, "stop": 2}, {"start": 5, "stop": 5}, {"start": 7, "stop": 8, "status": "done"}):
            with pytest.raises(IntegrityError), transaction.atomic():
                AggregationShard.objects.create(training_round=large, step="measure", **fields)


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

        moments = ((BlobStore, "verify"), (work, "measured"), (pieces, "put_products"), (work, "combined"))
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


@pytest.mark.django_db
class TestEnds:
    @pytest.mark.parametrize("shards_done", [0, 2, STEP_SHARDS])
    def test_an_aborted_round_stops_its_shards(
        self, large: TrainingRound, clock: ManualClock, shards_done: int, django_capture_on_commit_callbacks: Any
    ) -> None:
        shards = begin(large, clock)
        for shard in shards[:shards_done]:
            aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        with django_capture_on_commit_callbacks(execute=True):
            rounds.abort_round(round_id=large.round_id, actor="operator", reason="enough", clock=clock)
        statuses = list(large.shards.values_list("status", flat=True))
        assert statuses == ["done"] * shards_done + ["stopped"] * (STEP_SHARDS - shards_done)
        assert scratch.stores() == []
        assert list(reconcile.due(clock=clock)) == []
        assert not any(aggregation.aggregate_shard(shard_id=shard.pk, clock=clock) for shard in shards)

    def test_a_worker_notices_that_its_round_was_aborted(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (shard, *_) = begin(large, clock)
        monkeypatch.setattr(work, "_PORTION_WIDTH", WIDTH // 4)
        original = engine.measure
        portions: list[Any] = []

        def aborted(*args: Any, **kwargs: Any) -> Any:
            if not portions:
                rounds.abort_round(round_id=large.round_id, actor="operator", reason="enough", clock=clock)
            portions.append(args)
            return original(*args, **kwargs)

        monkeypatch.setattr(engine, "measure", aborted)
        assert not aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        assert len(portions) == 1

    def test_a_shards_failure_fails_the_round_with_its_code(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (first, second, *_) = begin(large, clock)

        def refused(*_: Any) -> None:
            raise SubmissionDamaged("as a test wants it")

        monkeypatch.setattr(work, "measured", refused)
        assert not aggregation.aggregate_shard(shard_id=first.pk, clock=clock)
        large.refresh_from_db()
        assert (large.status, large.failure_code) == ("failed", "submission_damaged")
        second.refresh_from_db()
        assert second.status == "stopped"

    def test_a_defect_fails_the_round_and_is_seen(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (shard, *_) = begin(large, clock)

        def broken(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(work, "measured", broken)
        with pytest.raises(ZeroDivisionError):
            aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        large.refresh_from_db()
        assert (large.status, large.failure_code) == ("failed", "aggregation_failed")

    @pytest.mark.parametrize("trouble", [OperationalError("database is locked"), OSError(28, "No space left")])
    def test_trouble_that_passes_gives_the_shard_back(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, trouble: Exception
    ) -> None:
        (shard, *_) = begin(large, clock)

        def troubled(*_: Any) -> None:
            raise trouble

        with monkeypatch.context() as patched:
            patched.setattr(pieces, "put_products", troubled)
            with pytest.raises(type(trouble)):
                aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        shard.refresh_from_db()
        assert (shard.status, shard.token) == ("waiting", "")
        assert aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)

    def test_lost_pieces_start_the_shards_anew(self, large: TrainingRound, clock: ManualClock) -> None:
        with undone():
            work_off(large, clock)
            expected = result(large)
        # lost before the last products, between the steps, in the middle of combining, and at the end
        for done in (STEP_SHARDS - 1, STEP_SHARDS, STEP_SHARDS + 2, 2 * STEP_SHARDS):
            shards = begin(large, clock)
            for number in range(done):
                if number == STEP_SHARDS:
                    aggregation.aggregate_round(round_id=large.round_id, clock=clock)
                shards = list(large.shards.all())
                aggregation.aggregate_shard(shard_id=shards[number].pk, clock=clock)
            scratch.discard(large.round_id)
            for task in list(reconcile.due(clock=clock)):
                if "shard_id" in task.kwargs:
                    aggregation.aggregate_shard(shard_id=int(task.kwargs["shard_id"]), clock=clock)
            if large.shards.exists():
                aggregation.aggregate_round(round_id=large.round_id, clock=clock)
            assert not large.shards.exists()
        work_off(large, clock)
        assert result(large) == expected

    def test_a_damaged_piece_is_not_used(self, large: TrainingRound, clock: ManualClock) -> None:
        for shard in begin(large, clock):
            aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        shard = large.shards.all()[0]
        scratch.scratch(large.round_id).path(shard.result_digest).write_bytes(b"[]")
        assert not aggregation.aggregate_round(round_id=large.round_id, clock=clock)
        assert not large.shards.exists()


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.django_db
class TestDamagedFiles:
    @pytest.mark.parametrize("values", [2**26, WIDTH * FEWEST])
    def test_before_the_aggregation(
        self, federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env], values: int
    ) -> None:
        env(aggregation_shard_values=values)
        training_round = start(federation, clock)
        for digest in (
            Submission.objects.all()[0].update_digest,
            ModelVersion.objects.get(model_name=MODEL, version=0).blob_digest,
        ):
            for damage, code in ((cut, "blob_damaged"), (flip, "blob_damaged"), (Path.unlink, "blob_not_found")):
                path = blobs().path(digest)
                kept = path.read_bytes()
                damage(path)
                with undone():
                    assert work_off(training_round, clock) == []
                    assert (training_round.status, training_round.failure_code) == ("failed", code)
                    assert not Proposal.objects.exists()
                path.write_bytes(kept)

    @pytest.mark.parametrize(("damage", "code"), [(cut, "submission_damaged"), (Path.unlink, "blob_not_found")])
    def test_while_shards_are_waiting(
        self, large: TrainingRound, clock: ManualClock, damage: Callable[[Path], None], code: str
    ) -> None:
        (shard, *_) = begin(large, clock)
        damage(blobs().path(Submission.objects.all()[0].update_digest))
        assert not aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        large.refresh_from_db()
        assert (large.status, large.failure_code) == ("failed", code)

    def test_while_a_shard_reads_it(
        self, large: TrainingRound, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shard = begin(large, clock)[-1]
        original = engine.measure

        def truncated(*args: Any, **kwargs: Any) -> Any:
            cut(blobs().path(Submission.objects.all()[0].update_digest))
            return original(*args, **kwargs)

        monkeypatch.setattr(engine, "measure", truncated)
        assert not aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
        large.refresh_from_db()
        assert (large.status, large.failure_code) == ("failed", "blob_damaged")
