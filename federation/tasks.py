"""The federation's tasks: ids in, one service call, nothing else."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from federation.services import aggregation, aggregation_scratch, campaigns, retention
from federation.services import reconcile as reconciliation
from federation.services.queue import ADVANCE_CAMPAIGN, AGGREGATE_ROUND, AGGREGATE_SHARD
from flxdr.core.clock import SystemClock

RECONCILE = "federation.tasks.reconcile"


@shared_task(name=AGGREGATE_ROUND)
def aggregate_round(round_id: str) -> None:
    aggregation.aggregate_round(round_id=round_id, clock=SystemClock())


@shared_task(name=AGGREGATE_SHARD)
def aggregate_shard(shard_id: int) -> None:
    aggregation.aggregate_shard(shard_id=shard_id, clock=SystemClock())


@shared_task(name=ADVANCE_CAMPAIGN)
def advance_campaign(campaign_id: int) -> None:
    campaigns.advance_campaign(campaign_id=campaign_id, clock=SystemClock())


@shared_task(name=RECONCILE)
def reconcile() -> None:
    reconciliation.reconcile(clock=SystemClock())


@shared_task(name="federation.tasks.discard_updates")
def discard_updates() -> None:
    retention.discard_updates(days=settings.FLXDR.update_retention_days, clock=SystemClock())


@shared_task(name="federation.tasks.discard_pieces")
def discard_pieces() -> None:
    aggregation_scratch.discard_leftovers()


@worker_ready.connect
def reconcile_at_start(**_: Any) -> None:
    """A worker that comes up first looks for what its predecessor left."""
    reconcile.delay()
