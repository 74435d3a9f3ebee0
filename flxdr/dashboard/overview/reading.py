"""The overview page's content, read from the apps' selectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

import federation.selectors
import ledger.selectors
import privacy.selectors
from federation.models import Participant, TrainingRound
from federation.selectors.overview import (
    OrganizationGlance,
    metrics_by_round,
    newest_round,
    organizations_at_a_glance,
    suspects,
)
from flxdr.dashboard.charts.line import Point, line_chart
from flxdr.platform.audit.selectors import recent_events
from flxdr.platform.models import AuditEvent
from ledger.models import Block, VerificationPass

CHART_METRICS = ("macro_binary_f1", "accuracy", "loss")
RECENT_EVENTS = 8
RECENT_BLOCKS = 5


@dataclass(frozen=True)
class RoundPanel:
    """The newest round: its row, the API's status of it, the chart of its model's metric, conspicuous updates."""

    training_round: TrainingRound
    status: dict[str, Any]
    chart: SafeString | None
    chart_metric: str
    suspects: Sequence[Participant]


@dataclass(frozen=True)
class ChainPanel:
    """The chain's head, and as the evidence for the badge the last full verification, and whether another is due."""

    chain_id: str
    head: Block
    members: int
    verification: VerificationPass | None
    due: VerificationPass | None
    blocks_since: int


@dataclass(frozen=True)
class Overview:
    """Everything the page shows."""

    at: datetime
    round: RoundPanel | None
    organizations: Sequence[OrganizationGlance]
    budget: dict[str, Any]
    protection: str
    chain: ChainPanel
    blocks: Sequence[Block]
    events: Sequence[AuditEvent]

    @property
    def connected(self) -> int:
        return sum(glance.state == "connected" for glance in self.organizations)


def read_overview(now: datetime) -> Overview:
    """Read every panel; the number of queries does not depend on how many organisations or blocks there are."""
    blocks, _ = ledger.selectors.blocks_page(RECENT_BLOCKS, 0)
    return Overview(
        at=now,
        round=_round_panel(),
        organizations=organizations_at_a_glance(now),
        budget=privacy.selectors.budget(),
        protection=privacy.selectors.configuration()["protection"],
        chain=_chain_panel(),
        blocks=blocks,
        events=recent_events(RECENT_EVENTS),
    )


def _round_panel() -> RoundPanel | None:
    training_round = newest_round()
    if training_round is None:
        return None
    history = metrics_by_round(training_round.model_name)
    metric = next((name for name in CHART_METRICS if history and name in history[-1].metrics), "")
    points = [Point(str(entry.number), entry.metrics[metric]) for entry in history if metric in entry.metrics]
    title = f"{metric} that the participants of {training_round.model_name} reported, by round"
    return RoundPanel(
        training_round=training_round,
        status=federation.selectors.round_status(training_round),
        chart=line_chart(points, title=title) if points else None,
        chart_metric=metric,
        suspects=suspects(training_round),
    )


def _chain_panel() -> ChainPanel:
    head = ledger.selectors.head()
    verification = ledger.selectors.last_pass()
    return ChainPanel(
        chain_id=ledger.selectors.chain_id(),
        head=head,
        members=len(ledger.selectors.members()),
        verification=verification,
        due=ledger.selectors.due_pass(),
        blocks_since=head.height - (verification.verified_to or 0) if verification else head.height + 1,
    )
