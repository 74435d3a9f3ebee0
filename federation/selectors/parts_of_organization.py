"""One organisation's parts in rounds, and what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from federation.models import ModelVersion, Participant, TrainingRound

Outcome = Literal["expected", "submitted", "counted", "uncounted", "left_out", "missed"]


@dataclass(frozen=True)
class OwnPart:
    """A part in a round: `counted` only if the update went into a model that was released.

    Attributes:
        why: in words, where the update did not count; else empty.
        result: what the round made; None before its aggregation, and where it failed before.
    """

    participant: Participant
    outcome: Outcome
    why: str
    result: ModelVersion | None

    @property
    def training_round(self) -> TrainingRound:
        return self.participant.training_round

    @property
    def has_submission(self) -> bool:
        return self.participant.status in (Participant.Status.SUBMITTED, Participant.Status.LEFT_OUT)


def parts_of_organization(org_id: str, *, limit: int, offset: int) -> tuple[Sequence[OwnPart], int]:
    """An organisation's parts, in the newest round first, and how many there are."""
    rows = Participant.objects.filter(organization__org_id=org_id)
    # Parts are made when their round starts. Finding the page in the index alone spares sorting all of them.
    shown = list(rows.order_by("-pk").values_list("pk", flat=True)[offset : offset + limit])
    page = Participant.objects.filter(pk__in=shown).select_related("training_round", "training_round__result")
    return [_part(row) for row in page.defer("training_round__config").order_by("-pk")], rows.count()


def _part(participant: Participant) -> OwnPart:
    training_round = participant.training_round
    result = getattr(training_round, "result", None)  # the reverse of a one-to-one that may not be there
    outcome, why = _outcome(participant, training_round, result)
    return OwnPart(participant, outcome, why, result)


def _outcome(
    participant: Participant, training_round: TrainingRound, result: ModelVersion | None
) -> tuple[Outcome, str]:
    failed = training_round.status == TrainingRound.Status.FAILED
    match participant.status:
        case Participant.Status.LEFT_OUT:
            return "left_out", participant.left_out_reason
        case Participant.Status.MISSED:
            return "missed", "no update came in time"
        case _ if failed:
            return "uncounted", f"the round failed: {training_round.failure_code}"
        case Participant.Status.EXPECTED:
            return "expected", ""
    if result is None or result.status not in (ModelVersion.Status.RELEASED, ModelVersion.Status.WITHDRAWN):
        return "submitted", ""
    return "counted", "" if result.status == ModelVersion.Status.RELEASED else "the release was withdrawn since"
