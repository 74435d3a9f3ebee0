"""What asks for an operator, read from the apps' selectors; nothing is changed here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings

import ledger.selectors
import privacy.selectors
from federation.selectors import attention, confirmations
from flxdr.backup.record import OLD, last_backup
from flxdr.core.clock import format_timestamp
from flxdr.core.errors import FlxdrError
from flxdr.notifications import kinds
from flxdr.operators.locks import standing_locks
from flxdr.platform.telemetry.selectors import oldest_waiting, refused
from ledger.models import Approval

ABORTED = "aborted"
"""The failure of rounds that an operator stopped, and knows of."""
TELEMETRY_PATIENCE = timedelta(minutes=15)
OVERDUE = 2
"""Full verifications that may be missed before somebody is told."""
LAST_PART = 4
"""A proposal that nobody has decided after all but this part of its time asks for an operator."""
_log = structlog.get_logger("flxdr.notifications")


@dataclass(frozen=True)
class Finding:
    """A condition that holds: of which kind, about what, and what its sentence is filled in with."""

    kind: str
    subject: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Condition:
    """A check: what it is called, the kinds that it alone finds, and the check."""

    name: str
    kinds: frozenset[str]
    find: Callable[[datetime], Iterator[Finding]]


@dataclass
class Survey:
    """What holds, and the kinds of which nobody knows because their check failed."""

    findings: list[Finding] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)


def survey(now: datetime) -> Survey:
    """Make every check; one that fails is itself something to tell, and keeps none of the others from being made."""
    result = Survey()
    for condition in CONDITIONS:
        try:
            result.findings += condition.find(now)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are made and it is told
            _log.warning(
                "check failed", check=condition.name, exc_info=not isinstance(error, FlxdrError), reason=str(error)
            )
            result.unknown |= condition.kinds
            reason = error.code if isinstance(error, FlxdrError) else type(error).__name__
            data = {"check": condition.name, "error": reason}
            result.findings.append(Finding(kinds.CHECK_FAILED, condition.name, data))
    return result


def waiting_organizations(now: datetime) -> Iterator[Finding]:
    """Organisations that registered and that nobody has approved."""
    for organization in attention.waiting_organizations():
        yield Finding(kinds.ORGANIZATION_WAITING, organization.org_id, {"org_id": organization.org_id})


def silent_organizations(now: datetime) -> Iterator[Finding]:
    """Active organisations that were not heard of for `FL_NOTIFY_SILENT_AFTER`."""
    since = now - timedelta(seconds=settings.FLXDR.notify_silent_after)
    for organization in attention.silent_organizations(since):
        assert organization.last_seen_at is not None  # asked for
        data = {"org_id": organization.org_id, "last_seen_at": format_timestamp(organization.last_seen_at)}
        yield Finding(kinds.ORGANIZATION_SILENT, organization.org_id, data)


def waiting_confirmations(now: datetime) -> Iterator[Finding]:
    """What one operator asked for, and a second one has not decided."""
    for request in confirmations.waiting_confirmations(now):
        data = {
            "action": request.action.replace("_", " "),
            "target": request.subject,
            "requested_by": request.requested_by,
            "expires_at": format_timestamp(request.expires_at),
        }
        yield Finding(kinds.CONFIRMATION_WAITING, str(request.pk), data)


def failed_rounds(now: datetime) -> Iterator[Finding]:
    """Models whose last round failed, by itself and not by an operator's hand."""
    for training_round in attention.failed_rounds(but=ABORTED):
        data = {
            "round_id": training_round.round_id,
            "number": training_round.number,
            "model": training_round.model_name,
            "code": training_round.failure_code,
            "reason": training_round.failure_reason.rstrip("."),
        }
        yield Finding(kinds.ROUND_FAILED, training_round.round_id, data)


def expiring_proposal(now: datetime) -> Iterator[Finding]:
    """The open proposal, in the last part of its time."""
    for proposal in ledger.selectors.proposals_page(1, 0, open_only=True)[0]:
        if proposal.deadline is None or proposal.opened_at is None:
            continue
        if now < proposal.deadline - (proposal.deadline - proposal.opened_at) / LAST_PART:
            continue
        answers = ledger.selectors.answers_to([proposal])[proposal.block_hash or ""]
        approving = {each.org_id for each in answers if each.verdict == Approval.Verdict.APPROVE}
        data = {
            "proposal": proposal.pk,
            "deadline_at": format_timestamp(proposal.deadline),
            "approvals": len(approving & set(proposal.voters)),
            "threshold": proposal.threshold,
            "unanswered": sorted(set(proposal.voters) - {each.org_id for each in answers}) or ["-"],
        }
        yield Finding(kinds.PROPOSAL_EXPIRING, str(proposal.pk), data)


def broken_chain(now: datetime) -> Iterator[Finding]:
    """The last full verification found a bad block."""
    last = ledger.selectors.last_pass()
    if last is not None and last.valid is False and last.report is not None:
        bad = last.report["first_bad"] or {}
        data = {"height": bad.get("height", last.verified_to), "code": bad.get("code", "unknown")}
        yield Finding(kinds.CHAIN_BROKEN, "chain", data)


def unverified_chain(now: datetime) -> Iterator[Finding]:
    """No full verification has ended for longer than twice its schedule."""
    last = ledger.selectors.last_pass()
    since = last.ended_at if last is not None and last.ended_at else ledger.selectors.block_at(0).sealed_at
    interval = timedelta(seconds=settings.FLXDR.verify_interval)
    if now - since > OVERDUE * interval:
        data = {"since_at": format_timestamp(since), "minutes": round(interval / timedelta(minutes=1))}
        yield Finding(kinds.CHAIN_UNVERIFIED, "chain", data)


def short_budgets(now: datetime) -> Iterator[Finding]:
    """Active organisations whose privacy budget pays for few further rounds, or for none."""
    enough = settings.FLXDR.notify_rounds_left + 1
    left = privacy.selectors.runways(at_most=enough)
    active = attention.active_names() if left else frozenset()
    for org_id, rounds in sorted(left.items()):
        if org_id not in active or rounds >= enough:
            continue
        if rounds:
            yield Finding(kinds.BUDGET_LOW, org_id, {"org_id": org_id, "rounds": rounds})
        else:
            yield Finding(kinds.BUDGET_EXHAUSTED, org_id, {"org_id": org_id})


def stuck_telemetry(now: datetime) -> Iterator[Finding]:
    """An event has waited in the outbox for longer than a sink's hiccup."""
    oldest = oldest_waiting()
    if oldest is not None and now - oldest.event.at > TELEMETRY_PATIENCE:
        data = {"since_at": format_timestamp(oldest.event.at), "attempts": oldest.attempts}
        yield Finding(kinds.TELEMETRY_STUCK, "outbox", data)


def refused_telemetry(now: datetime) -> Iterator[Finding]:
    """The sink will not have an event that was set aside; nothing but an operator sends it again."""
    oldest = refused().first()
    if oldest is not None:
        data = {"since_at": format_timestamp(oldest.event.at), "reason": oldest.last_error}
        yield Finding(kinds.TELEMETRY_REFUSED, "outbox", data)


def locked_accounts(now: datetime) -> Iterator[Finding]:
    """Accounts to which nobody can sign in from the addresses that guessed."""
    locks = defaultdict(list)
    for event in standing_locks(now):
        locks[event.subject].append(event)
    for account, events in locks.items():
        addresses = sorted({str(event.data["address"]) for event in events})
        data = {"account": account, "since_at": format_timestamp(events[0].at), "addresses": addresses}
        yield Finding(kinds.ACCOUNT_LOCKED, account, data)


def old_backup(now: datetime) -> Iterator[Finding]:
    """A production site's chain has gone on for long without a backup."""
    if not settings.FLXDR.is_production:
        return
    backup = last_backup()
    block = ledger.selectors.first_block_from(1 if backup is None else backup.data["blocks"])
    if block is not None and now - block.timestamp > OLD:
        yield Finding(kinds.BACKUP_OLD, "backup", {"since_at": format_timestamp(block.timestamp)})


CONDITIONS = (
    Condition("waiting organisations", frozenset({kinds.ORGANIZATION_WAITING}), waiting_organizations),
    Condition("silent organisations", frozenset({kinds.ORGANIZATION_SILENT}), silent_organizations),
    Condition("confirmations", frozenset({kinds.CONFIRMATION_WAITING}), waiting_confirmations),
    Condition("failed rounds", frozenset({kinds.ROUND_FAILED}), failed_rounds),
    Condition("open proposals", frozenset({kinds.PROPOSAL_EXPIRING}), expiring_proposal),
    Condition("the chain", frozenset({kinds.CHAIN_BROKEN}), broken_chain),
    Condition("verifications", frozenset({kinds.CHAIN_UNVERIFIED}), unverified_chain),
    Condition("privacy budgets", frozenset({kinds.BUDGET_LOW, kinds.BUDGET_EXHAUSTED}), short_budgets),
    Condition("telemetry", frozenset({kinds.TELEMETRY_STUCK}), stuck_telemetry),
    Condition("refused telemetry", frozenset({kinds.TELEMETRY_REFUSED}), refused_telemetry),
    Condition("locked accounts", frozenset({kinds.ACCOUNT_LOCKED}), locked_accounts),
    Condition("backups", frozenset({kinds.BACKUP_OLD}), old_backup),
)
