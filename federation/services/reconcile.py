"""What the rows say is due, whatever was lost on the way: deadlines, dead workers, missing signatures, next rounds.

Deadlines of proposals and lost requests for the coordinator's signature are the ledger's: `expire_due` sees to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from federation.models import Campaign, TrainingRound
from federation.services import confirmations, rounds
from federation.services.aggregation import claims
from federation.services.queue import ADVANCE_CAMPAIGN, AGGREGATE_ROUND, AGGREGATE_SHARD, enqueue
from flxdr.core.clock import Clock
from ledger.services.proposals import expire_due

Status = TrainingRound.Status
SHARDS_AT_ONCE = 16
"""Shards that wait because the workers are busy are no lost messages; few are sent again, those first in the queue."""


@dataclass(frozen=True)
class Due:
    """A task that should run now; running it twice, or when it is no longer due, does nothing."""

    task: str
    kwargs: dict[str, str | int]

    def __str__(self) -> str:
        return f"{self.task}({', '.join(f'{name}={value}' for name, value in self.kwargs.items())})"


def reconcile(*, clock: Clock) -> list[str]:
    """Close collections, proposals and operators' requests that are overdue, then enqueue every task that is due.

    Runs at every beat, at a worker's start and whenever somebody doubts; any number of them may run at once.

    Returns:
        What it enqueued, for the log.
    """
    overdue = TrainingRound.objects.filter(status=Status.IN_PROGRESS, deadline__lte=clock.now())
    for round_id in overdue.values_list("round_id", flat=True):
        rounds.close_collection(round_id=round_id, clock=clock)
    expire_due(clock=clock)
    confirmations.expire_overdue(clock=clock)
    tasks = list(due(clock=clock))
    for task in tasks:
        enqueue(task.task, **task.kwargs)
    return [str(task) for task in tasks]


def due(*, clock: Clock) -> Iterator[Due]:
    """The tasks that the rows ask for."""
    aggregating = claims.rounds_due(clock.now()).order_by("closed_at")
    for round_id in aggregating.values_list("round_id", flat=True):
        yield Due(AGGREGATE_ROUND, {"round_id": round_id})
    for shard_id in claims.shards_due(clock.now()).order_by("pk").values_list("pk", flat=True)[:SHARDS_AT_ONCE]:
        yield Due(AGGREGATE_SHARD, {"shard_id": shard_id})
    open_rounds = TrainingRound.objects.filter(campaign=OuterRef("pk"), status__in=TrainingRound.OPEN)
    waiting = Campaign.objects.filter(~Exists(open_rounds), status=Campaign.Status.RUNNING)
    for campaign_id in waiting.order_by("pk").values_list("pk", flat=True):
        yield Due(ADVANCE_CAMPAIGN, {"campaign_id": campaign_id})
