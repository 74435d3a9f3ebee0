"""Rounds and campaigns, as the API and the pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet

from federation.errors import CampaignMissing, RoundMissing
from federation.models import Campaign, Participant, Submission, TrainingRound
from flxdr.core.clock import format_timestamp

Status = TrainingRound.Status
PHASES = {
    Status.IN_PROGRESS: "collection",
    Status.AGGREGATING: "aggregation",
    Status.VERIFYING: "verification",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
}
NOT_SUBMITTED = (Participant.Status.EXPECTED, Participant.Status.MISSED)


@dataclass(frozen=True)
class RoundFilter:
    """Which rounds to list; an empty field lets all pass.

    Attributes:
        since, before: bounds of the start, the second one excluded.
    """

    model_name: str = ""
    status: str = ""
    since: datetime | None = None
    before: datetime | None = None

    def apply(self, rows: QuerySet[TrainingRound]) -> QuerySet[TrainingRound]:
        exact = {"model_name": self.model_name, "status": self.status}
        bounds = {"started_at__gte": self.since, "started_at__lt": self.before}
        return rows.filter(**{name: value for name, value in (exact | bounds).items() if value})


def rounds_matching(wanted: RoundFilter, *, limit: int, offset: int) -> tuple[list[TrainingRound], int]:
    """Rounds that pass, newest first, and how many there are.

    Each row carries `expected` and `answered`: how many organisations it asked, and how many of them submitted.
    """
    rows = wanted.apply(TrainingRound.objects.order_by("-id"))
    shown = [row.pk for row in rows.only("pk")[offset : offset + limit]]
    counts = {
        "expected": Count("participants"),
        "answered": Count("participants", filter=~Q(participants__status__in=NOT_SUBMITTED)),
    }
    page = TrainingRound.objects.filter(pk__in=shown).defer("config").annotate(**counts).order_by("-id")
    return list(page), rows.count()


def newest_rounds(model_name: str = "", *, at_most: int) -> Sequence[TrainingRound]:
    """The newest rounds, of one model or of all."""
    rows = TrainingRound.objects.order_by("-id").defer("config")
    return list((rows.filter(model_name=model_name) if model_name else rows)[:at_most])


def models_with_rounds() -> Sequence[str]:
    """The names of the models that rounds have trained."""
    return list(TrainingRound.objects.order_by("model_name").values_list("model_name", flat=True).distinct())


def round_by_id(round_id: str) -> TrainingRound:
    """One round.

    Raises:
        RoundMissing: there is none of that id.
    """
    training_round = TrainingRound.objects.filter(round_id=round_id).first()
    if training_round is None:
        raise RoundMissing(f"no round {round_id[:80]!r}")
    return training_round


def previous_metrics(training_round: TrainingRound) -> dict[str, float]:
    """The metrics of the newest round before this one whose model was released."""
    before = TrainingRound.objects.filter(
        model_name=training_round.model_name, number__lt=training_round.number, status=Status.COMPLETED
    )
    metrics: dict[str, float] | None = before.order_by("-number").values_list("metrics", flat=True).first()
    return metrics or {}


def counted_submissions(training_round: TrainingRound) -> QuerySet[Submission]:
    """The submissions that a round's result rests on, in the order of their organisations.

    Of a masked round those of the groups that were unmasked; before that, and of other rounds, all of them.
    """
    submissions = training_round.submissions.select_related("organization").order_by("organization__org_id")
    groups = training_round.masked_means.values_list("organizations", flat=True)
    names = [name for group in groups for name in group]
    return submissions.filter(organization__org_id__in=names) if names else submissions


def round_started(training_round: TrainingRound) -> dict[str, Any]:
    """The answer to a start."""
    participants = training_round.participants.order_by("organization__org_id")
    return {
        "round_id": training_round.round_id,
        "round_number": training_round.number,
        "status": training_round.status,
        "participants": list(participants.values_list("organization__org_id", flat=True)),
        "started_at": format_timestamp(training_round.started_at),
        "model_name": training_round.model_name,
        "config_hash": training_round.config_hash,
        "deadline": format_timestamp(training_round.deadline),
    }


def round_status(training_round: TrainingRound) -> dict[str, Any]:
    """Where a round stands: the guide's fields, and what explains them.

    `convergence_metric` is the L2 norm of the aggregated update in model units, null before the aggregation.
    `step` is the one that a masked collection is at, or ended with; null for rounds that collect updates in the clear.
    `unprotected` counts submissions that declared no privacy mechanism, `unsigned` those without a signature.
    """
    rows = list(training_round.participants.values_list("organization__org_id", "status"))
    missing = sorted(org_id for org_id, status in rows if status in NOT_SUBMITTED)
    submissions = list(training_round.submissions.values_list("privacy__mechanism", "key_id"))
    return {
        "round_id": training_round.round_id,
        "status": training_round.status,
        "orgs_submitted": len(rows) - len(missing),
        "orgs_expected": len(rows),
        "phase": PHASES[Status(training_round.status)],
        "step": training_round.step or None,
        "protection": training_round.protection,
        "convergence_metric": training_round.convergence_metric,
        "round_number": training_round.number,
        "model_name": training_round.model_name,
        "min_orgs": training_round.min_orgs,
        "missing": missing,
        "unprotected": sum(mechanism == "none" for mechanism, _ in submissions),
        "unsigned": sum(not key_id for _, key_id in submissions),
        "metrics": training_round.metrics,
        "deadline": format_timestamp(training_round.deadline),
        "finished_at": format_timestamp(training_round.finished_at) if training_round.finished_at else None,
        "failure_code": training_round.failure_code,
        "failure_reason": training_round.failure_reason,
    }


def rounds_page(model: str | None = None, *, limit: int, offset: int) -> dict[str, Any]:
    """Rounds, newest first."""
    rows = TrainingRound.objects.order_by("-id")
    if model is not None:
        rows = rows.filter(model_name=model)
    return {
        "rounds": [
            {
                "round_id": training_round.round_id,
                "round_number": training_round.number,
                "model_name": training_round.model_name,
                "status": training_round.status,
                "aggregation_method": training_round.aggregation_method,
                "started_at": format_timestamp(training_round.started_at),
                "finished_at": format_timestamp(training_round.finished_at) if training_round.finished_at else None,
                "failure_code": training_round.failure_code,
                "failure_reason": training_round.failure_reason,
            }
            for training_round in rows.defer("config")[offset : offset + limit]
        ],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }


@dataclass(frozen=True)
class CampaignProgress:
    """A campaign that runs: how many of its rounds are completed, and which one is open."""

    campaign: Campaign
    completed: int
    open_round: TrainingRound | None


def running_campaigns() -> Sequence[CampaignProgress]:
    """The campaigns that run, one a model at most, the newest first."""
    done = Count("rounds", filter=Q(rounds__status=Status.COMPLETED))
    running = list(Campaign.objects.filter(status=Campaign.Status.RUNNING).annotate(done=done).order_by("-id"))
    opened = TrainingRound.objects.filter(campaign__in=running, status__in=TrainingRound.OPEN).defer("config")
    rounds = {training_round.campaign_id: training_round for training_round in opened}
    return [CampaignProgress(campaign, campaign.done, rounds.get(campaign.pk)) for campaign in running]


def campaign_detail(campaign_id: int) -> dict[str, Any]:
    """A campaign and its rounds.

    Raises:
        CampaignMissing: there is none of that id.
    """
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None:
        raise CampaignMissing(f"no campaign {campaign_id}")
    rows = list(campaign.rounds.order_by("id").values_list("round_id", "status"))
    return {
        "id": campaign.pk,
        "model_name": campaign.model_name,
        "status": campaign.status,
        "rounds_total": campaign.rounds_total,
        "rounds_completed": sum(status == Status.COMPLETED for _, status in rows),
        "stop_reason": campaign.stop_reason,
        "created_at": format_timestamp(campaign.created_at),
        "finished_at": format_timestamp(campaign.finished_at) if campaign.finished_at else None,
        "rounds": [round_id for round_id, _ in rows],
    }
