"""The models that there are: how far each one is, its versions, and who shaped them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from django.db.models import Count, Max, Q, QuerySet

from federation.aggregation.weighting import weights
from federation.errors import ModelMissing
from federation.models import ModelVersion, Participant, TrainingRound
from federation.round_config import RoundConfig
from federation.selectors.rounds import counted_submissions
from models_ml.registry import MODELS, ModelSpec

Status = ModelVersion.Status
SEALED = (Status.RELEASED, Status.WITHDRAWN)
MOST_UNREGISTERED = 50
"""Models beside the registry's that the overview shows: each took a setting of the coordinator to be trained."""


@dataclass(frozen=True)
class ModelCard:
    """A model at a glance.

    Attributes:
        spec: what the registry says of it; None for one that its first submission defined.
        newest: its newest release that stands; None: nothing to use yet.
        releases, rounds: sealed releases, and rounds that were started for it.
    """

    name: str
    spec: ModelSpec | None
    newest: ModelVersion | None
    releases: int
    rounds: int

    @property
    def figures(self) -> Sequence[tuple[str, float]]:
        """The first figures that the newest release's round reported, without those of single families."""
        training_round = self.newest.training_round if self.newest else None
        metrics = training_round.metrics if training_round else {}
        return [(name, value) for name, value in metrics.items() if "." not in name][:3]


@dataclass(frozen=True)
class Part:
    """An organisation's part in a version.

    Attributes:
        samples: as it stated them; None: it submitted nothing.
        share: of the weight of the mean; None: its update did not count.
    """

    org_id: str
    status: str
    left_out_reason: str
    samples: int | None
    share: float | None


@dataclass(frozen=True)
class Reported:
    """One metric as the organisations whose updates counted reported it: `mean` is weighted by samples."""

    name: str
    least: float
    mean: float
    most: float
    organizations: int


def model_cards() -> list[ModelCard]:
    """The registry's models, then others that have versions."""
    found = {
        row["model_name"]: row
        for row in ModelVersion.objects.order_by("model_name")
        .values("model_name")
        .annotate(
            newest=Max("pk", filter=Q(status=Status.RELEASED)), releases=Count("pk", filter=Q(status__in=SEALED))
        )[: len(MODELS) + MOST_UNREGISTERED]
    }
    newest = _with_rounds(ModelVersion.objects.filter(pk__in=[row["newest"] for row in found.values()]))
    by_name = {version.model_name: version for version in newest}
    counted = TrainingRound.objects.order_by().values_list("model_name").annotate(Count("pk"))
    rounds = dict(counted)
    releases = {name: row["releases"] for name, row in found.items()}
    return [
        ModelCard(name, MODELS.get(name), by_name.get(name), releases.get(name, 0), rounds.get(name, 0))
        for name in dict.fromkeys([*MODELS, *found])
    ]


def model_card(model_name: str) -> ModelCard:
    """One model.

    Raises:
        ModelMissing: the registry does not know it, and it has no version.
    """
    versions = ModelVersion.objects.filter(model_name=model_name)
    if model_name not in MODELS and not versions.exists():
        raise ModelMissing(f"no model {model_name[:80]!r}")
    return ModelCard(
        model_name,
        MODELS.get(model_name),
        _with_rounds(versions.filter(status=Status.RELEASED)).order_by("-version").first(),
        versions.filter(status__in=SEALED).count(),
        TrainingRound.objects.filter(model_name=model_name).count(),
    )


def versions_page(*, model_name: str = "", status: str = "", limit: int, offset: int) -> tuple[list[ModelVersion], int]:
    """Versions with their rounds, newest first, and how many there are; an empty filter lets all pass."""
    exact = {"model_name": model_name, "status": status}
    rows = ModelVersion.objects.filter(**{name: value for name, value in exact.items() if value})
    return list(_with_rounds(rows).order_by("-id")[offset : offset + limit]), rows.count()


def sealed_history(model_name: str, *, newest: int = 50) -> list[ModelVersion]:
    """The newest sealed releases of a model, withdrawn ones among them, oldest first."""
    rows = _with_rounds(ModelVersion.objects.filter(model_name=model_name, status__in=SEALED))
    return list(reversed(rows.order_by("-version")[:newest]))


def versions_numbered(model_name: str, version: int) -> list[ModelVersion]:
    """All that carried a version's number: the one that has it, then candidates that were refused it, newest first.

    Raises:
        ModelMissing: none ever did.
    """
    rows = _with_rounds(ModelVersion.objects.filter(model_name=model_name, version=version)).order_by("-id")
    found = sorted(rows[:MOST_UNREGISTERED], key=lambda row: row.status == Status.REFUSED)
    if not found:
        raise ModelMissing(f"no version {version} of {model_name[:80]!r}")
    return found


def version_named(text: str) -> ModelVersion | None:
    """The version that a hash names, or `model:number`; None: neither does."""
    name, _, number = text.partition(":")
    if not number:
        rows = ModelVersion.objects.filter(model_hash=text)
    elif number.isascii() and number.isdecimal() and len(number) < 10:
        rows = ModelVersion.objects.filter(model_name=name, version=int(number)).exclude(status=Status.REFUSED)
    else:
        return None
    return _with_rounds(rows).order_by("-id").first()


def parts_of(training_round: TrainingRound) -> list[Part]:
    """Who took part in a version's round, with the share of the mean's weight, the largest first."""
    counted = list(counted_submissions(training_round).values_list("organization_id", "samples"))
    rows = list(
        training_round.participants.values_list("organization_id", "organization__org_id", "status", "left_out_reason")
    )
    included = {pk for pk, _name, status, _reason in rows if status == Participant.Status.SUBMITTED}
    share = _shares(counted, RoundConfig.decode(bytes(training_round.config)).weighting, included)
    samples = dict(training_round.submissions.values_list("organization_id", "samples"))
    parts = [Part(name, status, reason, samples.get(pk), share.get(pk)) for pk, name, status, reason in rows]
    return sorted(parts, key=lambda part: (-(part.share or 0), part.org_id))


def reported_metrics(training_round: TrainingRound) -> list[Reported]:
    """What the organisations whose updates counted reported, by name."""
    values: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for metrics, samples in counted_submissions(training_round).values_list("metrics", "samples"):
        for name, value in metrics.items():
            values[name].append((value, samples))
    return [_reported(name, told, training_round.metrics) for name, told in sorted(values.items())]


def _shares(counted: Sequence[tuple[int, int]], how: str, included: Set[int]) -> Mapping[int, float]:
    """Each included organisation's part of the weight, by its key: weighed among all that counted at first."""
    if not counted:
        return {}
    weighed = dict(zip((pk for pk, _samples in counted), weights([n for _pk, n in counted], how).tolist(), strict=True))
    total = sum(weight for pk, weight in weighed.items() if pk in included)
    return {pk: weight / total for pk, weight in weighed.items() if pk in included}


def _reported(name: str, told: Sequence[tuple[float, int]], means: Mapping[str, float]) -> Reported:
    figures = [value for value, _samples in told]
    weight = sum(samples for _value, samples in told)
    mean = means.get(name, sum(value * samples for value, samples in told) / weight)
    return Reported(name, min(figures), mean, max(figures), len(told))


def _with_rounds(rows: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    return rows.select_related("training_round").defer("training_round__config")
