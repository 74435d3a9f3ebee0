"""How far every model's training is, in a handful of queries whatever the number of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Avg, Count, Max, Model, Q, QuerySet

from federation.models import ModelVersion, Participant, TrainingRound

Status = TrainingRound.Status
_Row = TypeVar("_Row", bound=Model)
ENDED = (Status.COMPLETED, Status.FAILED)


@dataclass(frozen=True)
class NewestRelease:
    """The newest release of a model that stands, and what is known of the round that made it.

    Attributes:
        metrics: sample-weighted means of what the participants reported.
        convergence: L2 norm of the step from its parent, in model units.
        mean_norm: of the L2 norms of the updates that counted; None where they were masked.
    """

    model_name: str
    version: int
    metrics: Mapping[str, float]
    convergence: float | None
    mean_norm: float | None


def current_rounds() -> Mapping[str, int]:
    """By model, the number of the round that was started last."""
    return dict(TrainingRound.objects.order_by().values_list("model_name").annotate(Max("number")))


def rounds_by_status() -> Mapping[str, int]:
    """How many rounds are in each status."""
    counted = dict(TrainingRound.objects.order_by().values_list("status").annotate(Count("pk")))
    return {status.value: counted.get(status.value, 0) for status in Status}


def open_rounds() -> Sequence[TrainingRound]:
    """The rounds that have not ended, one a model at most."""
    return list(TrainingRound.objects.filter(status__in=TrainingRound.OPEN).defer("config").order_by("pk"))


def newest_releases() -> Sequence[NewestRelease]:
    """The newest release that stands, of every model that has one."""
    released = ModelVersion.objects.filter(status=ModelVersion.Status.RELEASED)
    found = list(_newest_of_each_model(released, "version").select_related("training_round").order_by("model_name"))
    counted = Participant.objects.filter(
        training_round__in=[each.training_round_id for each in found], status=Participant.Status.SUBMITTED
    )
    norms = dict(counted.order_by().values_list("training_round").annotate(Avg("update_norm")))
    return [
        NewestRelease(
            model_name=each.model_name,
            version=each.version,
            metrics=each.training_round.metrics if each.training_round else {},
            convergence=each.training_round.convergence_metric if each.training_round else None,
            mean_norm=norms.get(each.training_round_id),
        )
        for each in found
    ]


def failure_rates() -> Mapping[str, float]:
    """By model, the share of the participants of its newest ended round that did not submit in time."""
    last = _newest_of_each_model(TrainingRound.objects.filter(status__in=ENDED), "number")
    parts = Participant.objects.filter(training_round__in=list(last.values_list("pk", flat=True))).order_by()
    missed = Count("pk", filter=Q(status=Participant.Status.MISSED))
    rows = parts.values_list("training_round__model_name").annotate(missed=missed, total=Count("pk"))
    return {model: absent / total for model, absent, total in rows}


def _newest_of_each_model(rows: QuerySet[_Row], counter: str) -> QuerySet[_Row]:
    """Of every model the row with the highest `counter`; a subquery for each row would cost as many looks as rows."""
    wanted = Q(pk__in=())
    for model, highest in rows.order_by().values_list("model_name").annotate(Max(counter)):
        wanted |= Q(model_name=model, **{counter: highest})
    return rows.filter(wanted)
