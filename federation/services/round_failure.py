"""A round that ends without a model, and what ends with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from federation.models import Campaign, ModelVersion, TrainingRound
from federation.selectors.masking import Collection
from federation.services import aggregation_scratch, reputation
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event


def fail_round(
    *,
    round_id: str,
    code: str,
    reason: str,
    clock: Clock,
    actor: str = COORDINATOR,
    sources: Sequence[Status] = TrainingRound.OPEN,
    token: str | None = None,
) -> bool:
    """End an open round without a model, and the campaign that it belongs to.

    Args:
        code: machine-readable reason.
        sources: the statuses from which it may fail.
        token: of the claim by which the caller holds the round, if it does.

    Returns:
        Whether this call ended it.
    """
    now = clock.now()
    with transaction.atomic():
        for source in sources:
            fields: dict[str, Any] = {"failure_code": code, "failure_reason": reason, "finished_at": now}
            if source == Status.IN_PROGRESS:
                fields["closed_at"] = now
            if move(
                round_id=round_id,
                source=source,
                target=Status.FAILED,
                actor=actor,
                reason=f"{code}: {reason}",
                token=token,
                clock=clock,
                **fields,
            ):
                _after_failure(round_id, source, f"{code}: {reason}", clock)
                return True
        return False


def _after_failure(round_id: str, source: Status, reason: str, clock: Clock) -> None:
    training_round = TrainingRound.objects.get(round_id=round_id)
    if source == Status.IN_PROGRESS:
        awaited = Collection.of(training_round).awaited() if training_round.step else None
        reputation.note_missed(training_round, awaited)
    aggregation_scratch.stop_shards(training_round)
    ModelVersion.objects.filter(training_round=training_round, status=ModelVersion.Status.CANDIDATE).update(
        status=ModelVersion.Status.REFUSED
    )
    if training_round.campaign_id is not None:
        _stop_campaign(training_round.campaign_id, f"round {training_round.number}: {reason}", clock)


def _stop_campaign(campaign_id: int, reason: str, clock: Clock) -> None:
    running = Campaign.objects.filter(pk=campaign_id, status=Campaign.Status.RUNNING)
    if running.update(status=Campaign.Status.STOPPED, stop_reason=reason, finished_at=clock.now()) == 1:
        record_event(
            kind="campaign.stopped",
            actor=COORDINATOR,
            subject=f"campaign {campaign_id}",
            data={"reason": reason},
            clock=clock,
        )
