"""What every organisation did in one round: whether it submitted, how its update looked, where it stopped answering."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min

from federation.masking.steps import Step, steps_of
from federation.models import Participant, Submission, TrainingRound
from federation.round_config import RoundConfig


@dataclass(frozen=True)
class Part:
    """One organisation's part in a round.

    Attributes:
        submission: its update's row, without the bytes that were signed.
        stopped_at: of a masked round, the first step that it was asked and did not answer; blank: none.
        is_awaited: that step is still open.
    """

    participant: Participant
    submission: Submission | None
    stopped_at: str = ""
    is_awaited: bool = False


@dataclass(frozen=True)
class Attendance:
    """Submissions to a round, counted: the same few figures for ten organisations and for a thousand."""

    submitted: int
    signed: int
    unprotected: int
    samples: int
    first_at: datetime | None
    last_at: datetime | None


def parts_of(training_round: TrainingRound, *, limit: int, offset: int) -> tuple[list[Part], int]:
    """The parts of a round by the organisations' names, and how many there are."""
    rows = training_round.participants.select_related("organization").order_by("organization__org_id")
    participants = list(rows[offset : offset + limit])
    asked = [participant.organization_id for participant in participants]
    submissions = {
        submission.organization_id: submission
        for submission in training_round.submissions.filter(organization__in=asked).defer("statement", "signature")
    }
    stops = _stops(training_round, asked, submissions.keys())
    is_open = training_round.status == TrainingRound.Status.IN_PROGRESS
    return [
        Part(
            participant,
            submissions.get(participant.organization_id),
            stops.get(participant.organization_id, ""),
            is_open and stops.get(participant.organization_id) == training_round.step,
        )
        for participant in participants
    ], rows.count()


def attendance_of(training_round: TrainingRound) -> Attendance:
    """How many submitted, and when the first and the last of them."""
    submissions = training_round.submissions
    found = submissions.aggregate(first_at=Min("received_at"), last_at=Max("received_at"))
    rows = list(submissions.values_list("samples", "key_id", "privacy__mechanism"))
    return Attendance(
        submitted=len(rows),
        signed=sum(bool(key_id) for _, key_id, _ in rows),
        unprotected=sum(mechanism == "none" for _, _, mechanism in rows),
        samples=sum(samples for samples, _, _ in rows),
        **found,
    )


def arrivals(training_round: TrainingRound, *, at_most: int) -> Sequence[tuple[datetime, str]]:
    """When updates came and from whom, the first ones."""
    rows = training_round.submissions.order_by("received_at", "id")
    return list(rows.values_list("received_at", "organization__org_id")[:at_most])


def reported_metrics(training_round: TrainingRound) -> Mapping[str, Sequence[tuple[float, str]]]:
    """By metric, what each organisation reported, the lowest first; numbers alone."""
    found: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for org_id, metrics in training_round.submissions.values_list("organization__org_id", "metrics"):
        for name, value in _numbers(metrics):
            found[name].append((value, org_id))
    return {name: sorted(values) for name, values in sorted(found.items())}


def answers_by_step(training_round: TrainingRound) -> Mapping[str, int]:
    """Of a masked round, how many organisations answered each step."""
    messages = training_round.masking_messages.order_by().values_list("step").annotate(Count("pk"))
    return {**dict(messages), Step.MASKED_INPUT.value: training_round.submissions.count()}


def _numbers(metrics: Any) -> list[tuple[str, float]]:
    items = metrics.items() if isinstance(metrics, dict) else ()
    return [(name, float(value)) for name, value in items if isinstance(value, (int, float))]


def _stops(training_round: TrainingRound, asked: Sequence[int], submitted: Any) -> Mapping[int, str]:
    """Of a masked round, the first of its steps so far that an organisation has not answered.

    `open` asks those alone who hold the key, and one answer ends it: who is silent there has not stopped.
    """
    if not training_round.step:
        return {}
    answered = {(pk, Step.MASKED_INPUT.value) for pk in submitted}
    answered |= set(
        training_round.masking_messages.filter(organization__in=asked).values_list("organization_id", "step")
    )
    steps = [step.value for step in steps_of(RoundConfig.decode(bytes(training_round.config)))]
    begun = [step for step in steps[: steps.index(training_round.step) + 1] if step != Step.OPEN]
    stops = {pk: next((step for step in begun if (pk, step) not in answered), None) for pk in asked}
    return {pk: step for pk, step in stops.items() if step is not None}
