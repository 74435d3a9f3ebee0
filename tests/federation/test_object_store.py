"""Rounds whose files are in a bucket: on several machines, and while the bucket does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from federation.models import TrainingRound
from federation.services import aggregation, reconcile
from federation.services.aggregation import claims, inputs
from federation.services.queue import AGGREGATE_ROUND
from federation.services.retention import discard_updates
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from flxdr.platform.errors import StorageUnavailable
from flxdr.platform.storage import scratch
from flxdr.platform.storage.blobs import blobs
from flxdr.platform.storage.bucket import Bucket
from tests.federation.closed_rounds import collected
from tests.federation.sharded_rounds import FEWEST, SHARDED, WIDTH, result, start, undone, work_off
from tests.federation.test_recomputation import recomputed, released
from tests.support.federation import SimulatedFederation
from tests.support.object_store import Line, ObjectServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def large(
    bucket: ObjectServer, federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env]
) -> TrainingRound:
    """A round that is shared by shards, with its updates in the bucket."""
    env(aggregation_shard_values=WIDTH * FEWEST)
    return start(federation, clock)


def test_machines_without_a_common_folder_share_a_round(
    large: TrainingRound, bucket: ObjectServer, clock: ManualClock, env: Callable[..., Env], tmp_path: Path
) -> None:
    with undone():
        work_off(large, clock)
        expected = result(large)
    # Copies so few that none outlives its use, and every task on the machine after the last one's.
    machines = cycle(tmp_path / name for name in "abc")
    steps = []
    while due := next(iter(reconcile.due(clock=clock)), None):
        env(data_dir=next(machines), blobs_cache_bytes=0)
        if due.task == AGGREGATE_ROUND:
            aggregation.aggregate_round(round_id=large.round_id, clock=clock)
        else:
            assert aggregation.aggregate_shard(shard_id=int(due.kwargs["shard_id"]), clock=clock)
            steps.append(large.shards.get(pk=due.kwargs["shard_id"]).step)
    assert steps == SHARDED
    env(data_dir=next(machines))
    assert result(large) == expected


@pytest.mark.parametrize("values", [2**26, WIDTH * FEWEST])
def test_a_round_waits_for_a_bucket_that_does_not_answer(
    federation: SimulatedFederation,
    clock: ManualClock,
    env: Callable[..., Env],
    line: Line,
    values: int,
) -> None:
    env(aggregation_shard_values=values, blobs_cache_bytes=0)  # the worker is on another machine, so to speak
    waiting = start(federation, clock)
    attempts = 0
    for trouble in ({"cut": True}, {"cut": False, "answer_bytes": 2_000}, {"answer_bytes": 0}):
        for name, value in trouble.items():
            setattr(line, name, value)
        with pytest.raises(StorageUnavailable):
            work_off(waiting, clock)
        attempts += 1
        waiting.refresh_from_db()
        assert (waiting.status, waiting.token) == ("aggregating", "")
        assert not waiting.shards.exclude(token="").exists()
    assert attempts == 3
    line.answer_bytes = None
    work_off(waiting, clock)
    waiting.refresh_from_db()
    assert waiting.status == "verifying"


def test_a_shard_keeps_its_lease_while_its_files_are_fetched(
    large: TrainingRound, clock: ManualClock, env: Callable[..., Env], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file takes half a lease."""
    aggregation.aggregate_round(round_id=large.round_id, clock=clock)
    shard = large.shards.all()[0]
    env(data_dir=tmp_path / "another-machine")
    original = Bucket.download
    monkeypatch.setattr(inputs, "_RENEWAL_SECONDS", 0.0)

    def slow(self: Bucket, name: str) -> Iterator[bytes]:
        assert not claims.shards_due(clock.now()).filter(pk=shard.pk).exists()
        yield from original(self, name)
        clock.advance(aggregation.LEASE / 2)

    monkeypatch.setattr(Bucket, "download", slow)
    before = clock.now()
    assert aggregation.aggregate_shard(shard_id=shard.pk, clock=clock)
    assert clock.now() - before >= aggregation.LEASE * 3


def test_a_damaged_object_fails_the_round_that_needs_it(
    bucket: ObjectServer, federation: SimulatedFederation, clock: ManualClock, env: Callable[..., Env], tmp_path: Path
) -> None:
    training_round = collected(federation, clock)
    digest = training_round.submissions.all()[0].update_digest
    key = f"blobs/{digest[:2]}/{digest}"
    bucket.write(key, bucket.read(key)[:-1] + b"?")
    env(data_dir=tmp_path / "another-machine")
    assert work_off(training_round, clock) == []
    training_round.refresh_from_db()
    assert (training_round.status, training_round.failure_code) == ("failed", "blob_damaged")


def test_old_updates_go_from_the_bucket_and_their_release_says_so(
    federation: SimulatedFederation, clock: ManualClock, bucket: ObjectServer, env: Any, tmp_path: Path
) -> None:
    first = released(federation, clock)
    env(data_dir=tmp_path / "another-machine")
    assert recomputed().matched == 1
    updates = set(first.submissions.values_list("update_digest", flat=True))
    clock.advance(timedelta(days=40))
    assert discard_updates(days=30, clock=clock) == [first.round_id]
    assert not updates & {key.rpartition("/")[2] for key in bucket.objects()}
    assert not any(path.name in updates for path in (tmp_path / "another-machine").rglob("*"))
    assert (recomputed().matched, len(recomputed().not_recomputable)) == (0, 1)


def test_pieces_are_in_the_bucket_until_the_round_moves_on(
    large: TrainingRound, clock: ManualClock, bucket: ObjectServer, django_capture_on_commit_callbacks: Any
) -> None:
    aggregation.aggregate_round(round_id=large.round_id, clock=clock)
    aggregation.aggregate_shard(shard_id=large.shards.all()[0].pk, clock=clock)
    assert scratch.stores() == [large.round_id]
    with django_capture_on_commit_callbacks(execute=True):
        work_off(large, clock)
    assert [key for key in bucket.objects() if not key.startswith("blobs/")] == []
    assert blobs().exists(large.submissions.all()[0].update_digest)
