"""Large rounds: shared by ranges of coordinates, with the model that one worker alone would make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from federation.aggregation import registry
from federation.models import AggregationShard, ModelVersion, TrainingRound
from federation.services import aggregation, reconcile
from federation.services.aggregation import claims, pieces, work
from federation.tasks import discard_pieces
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.platform.storage import scratch
from flxdr.platform.storage.blobs import blobs
from tests.federation.sharded_rounds import (
    FEWEST,
    SHARDED,
    SIZE,
    STEP_SHARDS,
    WIDTH,
    begin,
    chosen,
    result,
    start,
    undone,
    work_off,
)
from tests.support.federation import SimulatedFederation

CHOICES = [(choice["method"], choice["robust_method"]) for choice in registry.describe()]


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
        discard_pieces()
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
