"""Celery tasks of the ledger: ids in, services called, no logic."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.conf import settings

from flxdr.core.clock import SystemClock
from ledger.services import approvals, passes


@shared_task(name="ledger.tasks.countersign")
def countersign(proposal_id: int) -> None:
    """Add the coordinator's signature to a proposal."""
    approvals.countersign(proposal_id=proposal_id, clock=SystemClock())


@shared_task(name=passes.VERIFY_WHOLE)
def verify_whole() -> None:
    """Make the full pass over the chain that is due, or that has not been made for too long."""
    interval = timedelta(seconds=settings.FLXDR.verify_interval)
    passes.make_overdue_pass(interval=interval, clock=SystemClock())
