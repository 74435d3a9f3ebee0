"""One round's page, read from the apps' selectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

import ledger.selectors
import privacy.selectors
from federation.masking.steps import steps_of
from federation.models import ConfirmationRequest, ModelVersion, TrainingRound
from federation.round_config import RoundConfig
from federation.selectors import round_by_id, waiting_confirmation
from federation.selectors.round_parts import (
    Attendance,
    Part,
    answers_by_step,
    arrivals,
    attendance_of,
    parts_of,
    reported_metrics,
)
from federation.selectors.rounds import PHASES, previous_metrics
from flxdr.dashboard.paging import Pages, Window
from flxdr.dashboard.rounds.advice import advice_on
from flxdr.dashboard.rounds.history import EVENT_KINDS, Happening, Votes, bar_of, history_of
from flxdr.platform.audit.selectors import events_about
from ledger.models import Approval

PARTS_PER_PAGE = 50
EVENTS_READ = 200
ARRIVALS_DRAWN = 200
METRICS_SHOWN = 40


@dataclass(frozen=True)
class Row:
    """One organisation's line: its part, and how its privacy charge for the round stands."""

    part: Part
    charge: str


@dataclass(frozen=True)
class StepLine:
    """A step of a masked round: how many answered it, and whether it is the present one."""

    name: str
    answered: int
    is_present: bool
    is_past: bool


@dataclass(frozen=True)
class MetricLine:
    """A reported metric: the sample-weighted mean, the change to the release before, and who reported the extremes."""

    name: str
    mean: float | None
    delta: float | None
    lowest: tuple[float, str]
    highest: tuple[float, str]


@dataclass(frozen=True)
class RoundPage:
    """Everything that the page of a round shows."""

    round: TrainingRound
    config: RoundConfig
    phase: str
    is_open: bool
    is_late: bool
    expected: int
    attendance: Attendance
    steps: Sequence[StepLine]
    bar: SafeString
    history: Sequence[Happening]
    pages: Pages
    metrics: Sequence[MetricLine]
    charged: Mapping[str, int]
    cost: float | None
    version: ModelVersion | None
    votes: Votes | None
    advice: str
    abort_request: ConfirmationRequest | None
    chain_id: str


def read_round(round_id: str, window: Window, now: datetime) -> RoundPage:
    """Read a round; the number of queries depends on nothing.

    Raises:
        RoundMissing: there is none of that id.
    """
    training_round = round_by_id(round_id)
    config = RoundConfig.decode(bytes(training_round.config))
    is_open = training_round.status in TrainingRound.OPEN
    events = events_about(round_id, kinds=EVENT_KINDS, newest=EVENTS_READ)
    came = arrivals(training_round, at_most=ARRIVALS_DRAWN)
    attendance = attendance_of(training_round)
    votes = _votes(round_id)
    charges = privacy.selectors.round_charges(round_id)
    parts, total = parts_of(training_round, limit=window.limit, offset=window.offset)
    rows = [Row(part, charges.get(part.participant.organization.org_id, "")) for part in parts]
    return RoundPage(
        round=training_round,
        config=config,
        phase=PHASES[TrainingRound.Status(training_round.status)],
        is_open=is_open,
        is_late=training_round.status == TrainingRound.Status.IN_PROGRESS and training_round.deadline < now,
        expected=len(config.participants),
        attendance=attendance,
        steps=_steps(training_round, config),
        bar=bar_of(training_round, events, came, now),
        history=history_of(training_round, events, came, attendance, votes),
        pages=Pages(rows, total, window),
        metrics=_metrics(training_round),
        charged={kind: list(charges.values()).count(kind) for kind in sorted(set(charges.values()))},
        cost=privacy.selectors.cost_of(config.privacy),
        version=ModelVersion.objects.filter(training_round=training_round).first(),
        votes=votes,
        advice=advice_on(training_round.failure_code) if training_round.failure_code else "",
        abort_request=waiting_confirmation(ConfirmationRequest.Action.ABORT_ROUND, round_id, now) if is_open else None,
        chain_id=config.chain_id,
    )


def _votes(round_id: str) -> Votes | None:
    proposal = ledger.selectors.proposal_of_round(round_id)
    if proposal is None:
        return None
    answers = ledger.selectors.answers_to([proposal]).get(proposal.block_hash or "", [])
    recorded = events_about(f"proposal {proposal.pk}", kinds=("approval.recorded",), newest=EVENTS_READ)
    members = [answer for answer in answers if answer.org_id != "coordinator"]
    return Votes(
        proposal=proposal,
        approving=[answer for answer in members if answer.verdict == Approval.Verdict.APPROVE],
        rejecting=[answer for answer in members if answer.verdict == Approval.Verdict.REJECT],
        given_at={event.actor: event.at for event in recorded},
    )


def _steps(training_round: TrainingRound, config: RoundConfig) -> Sequence[StepLine]:
    if not training_round.step:
        return []
    answered = answers_by_step(training_round)
    names = [step.value for step in steps_of(config)]
    present = names.index(training_round.step)
    is_collecting = training_round.status == TrainingRound.Status.IN_PROGRESS
    return [
        StepLine(
            name,
            answered.get(name, 0),
            is_present=is_collecting and place == present,
            is_past=place < present or (place == present and not is_collecting),
        )
        for place, name in enumerate(names)
    ]


def _metrics(training_round: TrainingRound) -> Sequence[MetricLine]:
    before = previous_metrics(training_round)
    means = training_round.metrics
    return [
        MetricLine(
            name,
            means.get(name),
            means[name] - before[name] if name in means and name in before else None,
            values[0],
            values[-1],
        )
        for name, values in list(reported_metrics(training_round).items())[:METRICS_SHOWN]
    ]
