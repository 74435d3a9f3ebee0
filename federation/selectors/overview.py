"""What an operator sees at a glance: the newest round, who is missing, how the organisations are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from federation.models import ModelVersion, Organization, Participant, TrainingRound

DISCONNECTED_AFTER = timedelta(minutes=2)
"""Longer than an agent's long poll and the minute to which `last_seen_at` is kept, together."""


@dataclass(frozen=True)
class OrganizationGlance:
    """An organisation and the reason why it is shown as it is."""

    organization: Organization
    state: str
    reason: str


@dataclass(frozen=True)
class RoundMetrics:
    """What the participants of one released round reported, sample-weighted."""

    number: int
    metrics: dict[str, float]


def newest_round() -> TrainingRound | None:
    """The round in progress, or the last one."""
    return TrainingRound.objects.order_by("-id").first()


def organizations_at_a_glance(now: datetime) -> list[OrganizationGlance]:
    """All organisations by name, told apart by when they were last heard of."""
    return [glance_of(organization, now) for organization in Organization.objects.order_by("org_id")]


def suspects(training_round: TrainingRound, *, at_most: int = 20) -> Sequence[Participant]:
    """Participants whose update was left out or looks unlike the others', the most conspicuous first."""
    conspicuous = Q(status=Participant.Status.LEFT_OUT) | Q(anomaly_score__gt=1)
    rows = training_round.participants.filter(conspicuous).select_related("organization")
    return list(rows.order_by("-anomaly_score", "organization__org_id")[:at_most])


def metrics_by_round(model_name: str, *, newest: int = 50) -> Sequence[RoundMetrics]:
    """Reported metrics of the newest released rounds of a model, oldest first."""
    rows = (
        ModelVersion.objects.filter(
            model_name=model_name, status=ModelVersion.Status.RELEASED, training_round__isnull=False
        )
        .order_by("-version")
        .values_list("training_round__number", "training_round__metrics")[:newest]
    )
    return [RoundMetrics(number, metrics) for number, metrics in reversed(rows)]


def glance_of(organization: Organization, now: datetime) -> OrganizationGlance:
    """How an organisation is, and why that is said."""
    if organization.status == Organization.Status.PENDING:
        return OrganizationGlance(organization, "pending", "waits for an operator's approval")
    if organization.status == Organization.Status.SUSPENDED:
        revoked = organization.key_status == Organization.KeyStatus.REVOKED
        return OrganizationGlance(
            organization, "suspended", "its last key was revoked" if revoked else "suspended by an operator"
        )
    if organization.last_seen_at is None:
        return OrganizationGlance(organization, "never connected", "registered, and never heard of since")
    if now - organization.last_seen_at > DISCONNECTED_AFTER:
        return OrganizationGlance(organization, "disconnected", "not heard of for more than two minutes")
    return OrganizationGlance(organization, "connected", "heard of within the last two minutes")
