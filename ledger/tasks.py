"""Celery tasks of the ledger: ids in, services called, no logic."""

from __future__ import annotations

from celery import shared_task

from flxdr.core.clock import SystemClock
from ledger.services import approvals


@shared_task(name="ledger.tasks.countersign")
def countersign(proposal_id: int) -> None:
    """Add the coordinator's signature to a proposal."""
    approvals.countersign(proposal_id=proposal_id, clock=SystemClock())
