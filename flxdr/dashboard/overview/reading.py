"""The overview's content, read from the apps' selectors: as much for a thousand organisations as for ten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

import ledger.selectors
from federation.models import ConfirmationRequest, Participant, TrainingRound
from federation.selectors import waiting_confirmation
from federation.selectors.organization_list import organizations_by_state, organizations_to_look_at
from federation.selectors.overview import OpenRound, OrganizationGlance, newest_round, open_rounds, suspects
from federation.selectors.rounds import PHASES
from flxdr.dashboard.ledger.council import Vote, read_proposals
from flxdr.dashboard.ledger.evidence import Evidence, read_evidence
from flxdr.dashboard.overview.progress import Progress, read_progress
from flxdr.dashboard.overview.trouble import Trouble, read_trouble
from flxdr.dashboard.paging import Window
from flxdr.platform.audit.selectors import recent_events
from flxdr.platform.models import AuditEvent
from ledger.models import Block
from privacy.mechanism import NONE
from privacy.selectors.spending import Spending, budgets_page

RECENT_EVENTS = 8
RECENT_BLOCKS = 6
ORGANIZATIONS_NAMED = 6
SUSPECTS_NAMED = 4
SPENDERS_NAMED = 3


@dataclass(frozen=True)
class RoundPanel:
    """A round that is open, or the last one that ended; its conspicuous updates, and a wish to stop it."""

    opened: OpenRound
    phase: str
    is_open: bool
    is_late: bool
    suspects: Sequence[Participant]
    abort_request: ConfirmationRequest | None

    @property
    def training_round(self) -> TrainingRound:
        return self.opened.training_round


@dataclass(frozen=True)
class Organizations:
    """How many are in each state, and those by name who need to be looked at."""

    counts: Mapping[str, int]
    named: Sequence[OrganizationGlance]
    members: int

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def connected(self) -> int:
        return self.counts["connected"]

    @property
    def unnamed(self) -> int:
        """Organisations to look at that are not named here."""
        asking = sum(self.counts[state] for state in ("pending", "disconnected", "never connected"))
        return asking - len(self.named)


@dataclass(frozen=True)
class Budgets:
    """Who has spent most, and so runs out first.

    Attributes:
        is_unlimited: rounds add no noise, whatever they did before.
    """

    largest: Sequence[Spending]
    is_unlimited: bool
    protection: str
    total: float


@dataclass(frozen=True)
class Overview:
    """Everything the page shows."""

    at: datetime
    rounds: Sequence[RoundPanel]
    progress: Progress
    organizations: Organizations
    budgets: Budgets
    evidence: Evidence
    vote: Vote | None
    votes_waiting: int
    trouble: Trouble
    blocks: Sequence[Block]
    events: Sequence[AuditEvent]

    @property
    def open_rounds(self) -> int:
        return sum(panel.is_open for panel in self.rounds)


def read_overview(now: datetime) -> Overview:
    """Read every panel; the number of queries does not depend on how many organisations, rounds or blocks there are."""
    blocks, _ = ledger.selectors.blocks_page(RECENT_BLOCKS, 0)
    proposals = read_proposals(Window(1, 1), status="open", number=None)
    return Overview(
        at=now,
        rounds=_rounds(now),
        progress=read_progress(),
        organizations=_organizations(now),
        budgets=_budgets(),
        evidence=read_evidence(now, interval=timedelta(seconds=settings.FLXDR.verify_interval)),
        vote=next(iter(proposals.pages.items), None),
        votes_waiting=proposals.waiting,
        trouble=read_trouble(now),
        blocks=blocks,
        events=recent_events(RECENT_EVENTS),
    )


def _rounds(now: datetime) -> Sequence[RoundPanel]:
    """Every open round; where there is none, the last one that ended."""
    opened = open_rounds()
    if not opened:
        last = newest_round()
        opened = [] if last is None else [_ended(last)]
    return [_panel(each, now) for each in opened]


def _ended(training_round: TrainingRound) -> OpenRound:
    submitted = training_round.submissions.count()
    return OpenRound(training_round, training_round.participants.count(), submitted, [])


def _panel(opened: OpenRound, now: datetime) -> RoundPanel:
    training_round = opened.training_round
    is_open = training_round.status in TrainingRound.OPEN
    action = ConfirmationRequest.Action.ABORT_ROUND
    return RoundPanel(
        opened=opened,
        phase=PHASES[TrainingRound.Status(training_round.status)],
        is_open=is_open,
        is_late=training_round.status == TrainingRound.Status.IN_PROGRESS and training_round.deadline < now,
        suspects=suspects(training_round, at_most=SUSPECTS_NAMED),
        abort_request=waiting_confirmation(action, training_round.round_id, now) if is_open else None,
    )


def _organizations(now: datetime) -> Organizations:
    return Organizations(
        counts=organizations_by_state(now),
        named=organizations_to_look_at(now, at_most=ORGANIZATIONS_NAMED),
        members=len(ledger.selectors.members()),
    )


def _budgets() -> Budgets:
    largest, _ = budgets_page(limit=SPENDERS_NAMED, offset=0)
    env = settings.FLXDR
    return Budgets(largest, env.privacy_mode == NONE, env.protection, env.privacy_epsilon)
