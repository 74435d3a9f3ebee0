"""Who works on what: a round and a shard belong to the worker that claimed them, for as long as its lease runs."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from federation.models import AggregationShard, TrainingRound
from flxdr.core.clock import Clock

LEASE = timedelta(seconds=30)
"""How long a worker may be silent before another one takes its work; it renews the lease between its steps."""


class Superseded(Exception):
    """Another worker holds the work by now, or the round has ended; what this one did is void."""


@dataclass(frozen=True)
class Claim(ABC):
    """A worker's right to go on with a row."""

    token: str
    clock: Clock

    @abstractmethod
    def held(self) -> QuerySet[Any]:
        """The row, as long as this claim holds it and there is a point in going on."""

    def renew(self) -> None:
        """Extend the lease.

        Raises:
            Superseded: the claim is lost.
        """
        if self.held().update(lease_until=self.clock.now() + LEASE) != 1:
            raise Superseded

    def give_up(self) -> None:
        """Let another worker take the row at once."""
        self.held().update(token="", lease_until=None)


@dataclass(frozen=True)
class RoundClaim(Claim):
    """The right to take a round's next step."""

    training_round: TrainingRound

    def __str__(self) -> str:
        return "the round's next step"

    def held(self) -> QuerySet[TrainingRound]:
        return TrainingRound.objects.filter(
            pk=self.training_round.pk, status=TrainingRound.Status.AGGREGATING, token=self.token
        )


@dataclass(frozen=True)
class ShardClaim(Claim):
    """The right to work on one shard."""

    shard: AggregationShard

    def __str__(self) -> str:
        return f"{self.shard.step} of coordinates {self.shard.start} to {self.shard.stop}"

    @property
    def training_round(self) -> TrainingRound:
        return self.shard.training_round

    def held(self) -> QuerySet[AggregationShard]:
        return AggregationShard.objects.filter(
            pk=self.shard.pk, status=AggregationShard.Status.WAITING, token=self.token
        )


def free(now: datetime) -> Q:
    """Rows that nobody holds."""
    return Q(token="") | Q(lease_until__isnull=True) | Q(lease_until__lte=now)


def claim_round(round_id: str, clock: Clock) -> RoundClaim | None:
    """Claim a round whose next step is due; None if it is not, or somebody holds it."""
    token = secrets.token_hex(16)
    due = rounds_due(clock.now()).filter(round_id=round_id)
    if due.update(token=token, lease_until=clock.now() + LEASE) != 1:
        return None
    return RoundClaim(token, clock, TrainingRound.objects.get(round_id=round_id))


def claim_shard(shard_id: int, clock: Clock) -> ShardClaim | None:
    """Claim a shard that waits; None if it does not, or somebody holds it."""
    token = secrets.token_hex(16)
    due = shards_due(clock.now()).filter(pk=shard_id)
    if due.update(token=token, lease_until=clock.now() + LEASE) != 1:
        return None
    return ShardClaim(token, clock, AggregationShard.objects.select_related("training_round").get(pk=shard_id))


def rounds_due(now: datetime) -> QuerySet[TrainingRound]:
    """Rounds whose aggregation can take its next step: nobody holds them, and they wait for none of their shards."""
    waiting = AggregationShard.objects.filter(status=AggregationShard.Status.WAITING).values("training_round")
    return TrainingRound.objects.filter(free(now), status=TrainingRound.Status.AGGREGATING).exclude(pk__in=waiting)


def shards_due(now: datetime) -> QuerySet[AggregationShard]:
    """Shards that wait and that nobody holds; the transaction that ends a round stops its shards."""
    return AggregationShard.objects.filter(free(now), status=AggregationShard.Status.WAITING)
