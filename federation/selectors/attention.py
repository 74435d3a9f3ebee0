"""What of the federation asks for an operator; every read is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Exists, OuterRef

from federation.models import Organization, TrainingRound

AT_MOST = 200
"""Rows that a read gives: the first that came into the state, so the answer only grows at its end."""

Status = TrainingRound.Status


def waiting_organizations() -> Sequence[Organization]:
    """Organisations that wait for an operator's approval, those that wait longest first."""
    waiting = Organization.objects.filter(status=Organization.Status.PENDING)
    return list(waiting.order_by("registered_at", "pk")[:AT_MOST])


def silent_organizations(since: datetime) -> Sequence[Organization]:
    """Active organisations that were heard of once, and not since that moment; the longest silent first."""
    silent = Organization.objects.filter(status=Organization.Status.ACTIVE, last_seen_at__lte=since)
    return list(silent.order_by("last_seen_at", "pk")[:AT_MOST])


def active_names() -> frozenset[str]:
    """The active organisations."""
    return frozenset(Organization.objects.filter(status=Organization.Status.ACTIVE).values_list("org_id", flat=True))


def failed_rounds(*, but: str) -> Sequence[TrainingRound]:
    """Of every model the last round that ended, where that failed; oldest first.

    Args:
        but: the failure code that is left out.
    """
    later = TrainingRound.objects.filter(
        model_name=OuterRef("model_name"), number__gt=OuterRef("number"), status__in=(Status.COMPLETED, Status.FAILED)
    )
    failed = TrainingRound.objects.filter(~Exists(later), status=Status.FAILED).exclude(failure_code=but)
    return list(failed.defer("config").order_by("pk")[:AT_MOST])
