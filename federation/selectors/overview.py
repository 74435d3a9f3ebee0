"""What an operator sees at a glance: the rounds, who is missing, how the models and the organisations are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from federation.models import ModelVersion, Organization, Participant, TrainingRound
from federation.selectors.masking import Collection
from federation.selectors.rounds import NOT_SUBMITTED

DISCONNECTED_AFTER = timedelta(minutes=2)
"""Longer than an agent's long poll and the minute to which `last_seen_at` is kept, together."""
UNTAKEN = timedelta(minutes=1)
"""Longer than two beats of the reconciliation, which enqueues what is due."""


@dataclass(frozen=True)
class OrganizationGlance:
    """An organisation and the reason why it is shown as it is."""

    organization: Organization
    state: str
    reason: str


@dataclass(frozen=True)
class RoundMetrics:
    """What the participants of one released round reported, sample-weighted, and how far the model moved."""

    round_id: str
    number: int
    version: int
    at: datetime
    metrics: dict[str, float]
    convergence: float | None


@dataclass(frozen=True)
class OpenRound:
    """A round that has not ended: how many it asked, how many answered, and for whom it waits."""

    training_round: TrainingRound
    expected: int
    answered: int
    missing: Sequence[str]


def newest_round() -> TrainingRound | None:
    """The round that was started last."""
    return TrainingRound.objects.order_by("-id").first()


def open_rounds() -> list[OpenRound]:
    """The rounds that have not ended, one a model at most, the oldest first.

    A masked round waits for those whom its present step asks; another one for updates, while it collects.
    """
    counts = {
        "expected": Count("participants"),
        "answered": Count("participants", filter=~Q(participants__status__in=NOT_SUBMITTED)),
    }
    rows: QuerySet[Any] = TrainingRound.objects.filter(status__in=TrainingRound.OPEN).annotate(**counts)
    return [OpenRound(row, row.expected, row.answered, _awaited(row)) for row in rows.order_by("id")]


def _awaited(training_round: TrainingRound) -> Sequence[str]:
    if training_round.status != TrainingRound.Status.IN_PROGRESS:
        return []
    if training_round.step:
        return sorted(Collection.of(training_round).awaited())
    missing = training_round.participants.filter(status=Participant.Status.EXPECTED)
    return list(missing.order_by("organization__org_id").values_list("organization__org_id", flat=True))


def stalled_rounds(now: datetime) -> Sequence[TrainingRound]:
    """Rounds that are due to be aggregated and on which no worker works: its lease is over, or nobody took one."""
    idle = Q(lease_until__lt=now) | Q(lease_until=None, closed_at__lt=now - UNTAKEN)
    rows = TrainingRound.objects.filter(idle, status=TrainingRound.Status.AGGREGATING)
    return list(rows.defer("config").order_by("id"))


def failed_since(since: datetime, *, at_most: int) -> tuple[Sequence[TrainingRound], int]:
    """Rounds that failed since a moment, the newest first, and how many there are."""
    rows = TrainingRound.objects.filter(status=TrainingRound.Status.FAILED, finished_at__gte=since)
    return list(rows.defer("config").order_by("-finished_at")[:at_most]), rows.count()


def released_models() -> Sequence[str]:
    """The models of which a release stands, the one that was released last first."""
    rows = ModelVersion.objects.filter(status=ModelVersion.Status.RELEASED, training_round__isnull=False)
    return list(rows.order_by().values_list("model_name", flat=True).annotate(last=Max("id")).order_by("-last"))


def suspects(training_round: TrainingRound, *, at_most: int = 20) -> Sequence[Participant]:
    """Participants whose update was left out or looks unlike the others', the most conspicuous first."""
    conspicuous = Q(status=Participant.Status.LEFT_OUT) | Q(anomaly_score__gt=1)
    rows = training_round.participants.filter(conspicuous).select_related("organization")
    return list(rows.order_by("-anomaly_score", "organization__org_id")[:at_most])


def metrics_by_round(model_name: str, *, newest: int = 50) -> Sequence[RoundMetrics]:
    """Reported metrics of the newest released rounds of a model, oldest first."""
    released = ModelVersion.objects.filter(
        model_name=model_name, status=ModelVersion.Status.RELEASED, training_round__finished_at__isnull=False
    )
    rows: QuerySet[Any, Any] = released.order_by("-version").values_list(
        "training_round__round_id",
        "training_round__number",
        "version",
        "training_round__finished_at",
        "training_round__metrics",
        "training_round__convergence_metric",
    )[:newest]
    return [RoundMetrics(*row) for row in reversed(rows)]


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
