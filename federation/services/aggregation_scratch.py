"""What an aggregation leaves when its round moves on: shards that stop, and pieces that are thrown away."""

from __future__ import annotations

from functools import partial

from django.db import transaction

from federation.models import AggregationShard, TrainingRound
from flxdr.platform.storage import scratch

Status = AggregationShard.Status


def stop_shards(training_round: TrainingRound) -> None:
    """Stop the shards of a round that ends, in the caller's transaction, and throw their pieces away after it."""
    training_round.shards.filter(status=Status.WAITING).update(status=Status.STOPPED, token="", lease_until=None)
    discard_after_commit(training_round.round_id)


def discard_after_commit(round_id: str) -> None:
    """Throw a round's pieces away once the transaction that ends its aggregation is committed."""
    transaction.on_commit(partial(scratch.discard, round_id), robust=True)


def discard_leftovers() -> None:
    """Throw away pieces whose round is not aggregating: a worker died before it did, or wrote after the end."""
    left = scratch.stores()
    aggregating = TrainingRound.objects.filter(round_id__in=left, status=TrainingRound.Status.AGGREGATING)
    for round_id in sorted(set(left) - set(aggregating.values_list("round_id", flat=True))):
        scratch.discard(round_id)
