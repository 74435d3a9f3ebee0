"""What ends a shared round without a model, and what only delays it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from federation.aggregation import engine
from federation.errors import SubmissionDamaged
from federation.models import ModelVersion, Submission, TrainingRound
from federation.services import aggregation, reconcile, rounds
from federation.services.aggregation import pieces, work
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.platform.storage import scratch
from flxdr.platform.storage.blobs import blobs
from ledger.models import Proposal
from tests.federation.closed_rounds import MODEL
from tests.federation.sharded_rounds import (
    FEWEST,
    STEP_SHARDS,
    WIDTH,
    begin,
    result,
    start,
    undone,
    work_off,
)
from tests.support.federation import SimulatedFederation


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

    @pytest.mark.parametrize(
        "trouble",
        [
            OperationalError("database is locked"),
            InterfaceError("the connection is closed"),
            OSError(28, "No space left"),
        ],
    )
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
