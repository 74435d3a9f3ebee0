"""Proposals: what waits to become a block, and how it opens and ends.

One proposal is open at a time, because its header names the block before it; the others wait, releases first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Case, IntegerField, Value, When

from flxdr.core import canonical
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from ledger import selectors
from ledger.chain.block import block_hash, parse_provenance
from ledger.chain.entries import COORDINATOR
from ledger.chain.failures import BlockInvalid
from ledger.chain.fields import parse_hash
from ledger.chain.lineage import check_lineage
from ledger.errors import ProposalClosed, ProposalConflict, ReleaseInvalid
from ledger.models import Proposal
from ledger.services import listeners
from ledger.services.headers import build_header
from ledger.services.locking import lock_chain

COUNTERSIGN = "ledger.tasks.countersign"
REMIND_AFTER = timedelta(seconds=5)
_LIVE = (Proposal.Status.QUEUED, Proposal.Status.OPEN, Proposal.Status.SEALED)


@transaction.atomic
def propose_release(
    *, provenance: Mapping[str, Any], model_hash: str, training_orgs: Sequence[str], clock: Clock
) -> Proposal:
    """Propose the release of a model; opens at once unless another proposal is open.

    Proposing the same again returns the same proposal. Who votes is decided when the proposal opens: the training
    organisations that are members then, or all members (`ledger.chain.quorum.seal_rule`).

    Args:
        provenance: the fields of `ledger.chain.block.Provenance`; `training_orgs` may be left out.
        training_orgs: organisations whose updates are in the model, in any order.

    Raises:
        ReleaseInvalid: a provenance that is malformed or does not continue the model's lineage.
        ProposalConflict: something else is proposed or sealed for this round.
    """
    lock_chain()
    document = {**provenance, "training_orgs": sorted(set(training_orgs))}
    if "training_orgs" in provenance and sorted(provenance["training_orgs"]) != document["training_orgs"]:
        raise ReleaseInvalid("the provenance names other training organisations", expected=document["training_orgs"])
    release = parse_provenance(document)
    content = {"model_hash": parse_hash(model_hash, "model_hash"), "provenance": document}
    existing = _same_or_conflict("round_id", release.round_id, content)
    if existing is not None:
        return existing
    try:
        check_lineage(selectors.releases_of(release.model_name), release)
    except BlockInvalid as error:
        raise ReleaseInvalid(error.detail, expected=error.expected_value, field=error.field) from error
    proposal = Proposal.objects.create(
        type=Proposal.Type.RELEASE,
        content=content,
        content_hash=canonical.digest(canonical.encode(content)),
        model_hash=model_hash,
        round_id=release.round_id,
    )
    open_next(clock=clock)
    proposal.refresh_from_db()
    return proposal


def open_next(*, clock: Clock) -> Proposal | None:
    """Open the next waiting proposal unless one is open; one that no longer extends the chain ends on the way.

    Called inside the caller's transaction, which holds the chain.
    """
    while not Proposal.objects.filter(status=Proposal.Status.OPEN).exists():
        releases_first = Case(
            When(type=Proposal.Type.RELEASE, then=Value(0)), default=Value(1), output_field=IntegerField()
        )
        proposal = Proposal.objects.filter(status=Proposal.Status.QUEUED).order_by(releases_first, "id").first()
        if proposal is None:
            return None
        try:
            return _open(proposal, clock)
        except BlockInvalid as error:
            end_proposal(
                proposal=proposal,
                status=Proposal.Status.WITHDRAWN,
                actor=COORDINATOR,
                reason=f"no longer extends the chain: {error.detail}",
                clock=clock,
            )
    return None


def end_proposal(*, proposal: Proposal, status: Proposal.Status, actor: str, reason: str, clock: Clock) -> bool:
    """End a proposal without a block, and tell the listeners. False if it had ended already.

    Called inside the caller's transaction, which holds the chain.
    """
    waiting = Proposal.objects.filter(pk=proposal.pk, status__in=(Proposal.Status.QUEUED, Proposal.Status.OPEN))
    if waiting.update(status=status, ended_at=clock.now(), end_reason=reason[:300]) != 1:
        return False
    proposal.refresh_from_db()
    record_event(
        kind="proposal.ended",
        actor=actor,
        subject=f"proposal {proposal.pk}",
        data={"status": status.value, "reason": proposal.end_reason, "round_id": proposal.round_id},
        stream=proposal.stream,
        clock=clock,
    )
    for listener in listeners.registered():
        listener.proposal_ended(proposal=proposal, reason=proposal.end_reason)
    return True


@transaction.atomic
def withdraw(*, proposal_id: int, actor: str, reason: str, clock: Clock) -> Proposal:
    """Take back a proposal that has no block yet (an aborted round's, for one).

    Raises:
        ledger.errors.ProposalMissing: no such proposal.
        ProposalClosed: it is sealed or has ended.
    """
    lock_chain()
    proposal = selectors.proposal_by_id(proposal_id)
    ended = end_proposal(proposal=proposal, status=Proposal.Status.WITHDRAWN, actor=actor, reason=reason, clock=clock)
    if not ended:
        raise ProposalClosed(f"proposal {proposal_id} is {proposal.status}", expected="a queued or open proposal")
    open_next(clock=clock)
    return proposal


def expire_due(*, clock: Clock) -> int:
    """End the proposals past their deadline and open what waits; returns how many ended.

    Also sends for the coordinator's signature again where it is missing: the message that asked for it may be lost.
    """
    now = clock.now()
    expired = 0
    overdue = Proposal.objects.filter(status=Proposal.Status.OPEN, deadline__lte=now)
    idle = Proposal.objects.filter(status=Proposal.Status.QUEUED)
    if overdue.exists() or (idle.exists() and not Proposal.objects.filter(status=Proposal.Status.OPEN).exists()):
        with transaction.atomic():
            lock_chain()
            for proposal in overdue.all():
                expired += end_proposal(
                    proposal=proposal,
                    status=Proposal.Status.EXPIRED,
                    actor=COORDINATOR,
                    reason=f"no quorum of {proposal.threshold} of {len(proposal.voters)} by the deadline",
                    clock=clock,
                )
            open_next(clock=clock)
    for proposal_id in (
        selectors.unsigned_by_coordinator().filter(opened_at__lte=now - REMIND_AFTER).values_list("pk", flat=True)
    ):
        current_app.send_task(COUNTERSIGN, args=[proposal_id])
    return expired


def _open(proposal: Proposal, clock: Clock) -> Proposal:
    header, encoded = build_header(proposal=proposal, clock=clock)
    now = clock.now()
    opened = Proposal.objects.filter(pk=proposal.pk, status=Proposal.Status.QUEUED).update(
        status=Proposal.Status.OPEN,
        header=encoded,
        block_hash=block_hash(encoded),
        height=header.height,
        rule=header.governance.rule,
        voters=list(header.governance.voters),
        threshold=header.governance.threshold,
        opened_at=now,
        deadline=now + timedelta(seconds=settings.FLXDR.approval_timeout),
    )
    assert opened == 1, "the chain is locked, so nobody else opened it"
    proposal.refresh_from_db()
    record_event(
        kind="proposal.opened",
        actor=COORDINATOR,
        subject=f"proposal {proposal.pk}",
        data={
            "type": proposal.type,
            "height": proposal.height,
            "block_hash": proposal.block_hash,
            "rule": proposal.rule,
            "voters": proposal.voters,
            "threshold": proposal.threshold,
            "round_id": proposal.round_id,
            "org_id": proposal.org_id,
        },
        stream=proposal.stream,
        clock=clock,
    )

    def ask_for_signature() -> None:
        current_app.send_task(COUNTERSIGN, args=[proposal.pk])

    # The task is a hint: with the broker down `expire_due` asks again.
    transaction.on_commit(ask_for_signature, robust=True)
    return proposal


def _same_or_conflict(field: str, value: str, content: Mapping[str, Any]) -> Proposal | None:
    live = Proposal.objects.filter(**{field: value}, status__in=_LIVE).first()
    if live is None:
        return None
    if live.content_hash != canonical.digest(canonical.encode(content)):
        raise ProposalConflict(
            f"another release is {live.status} for round {value}", expected=f"the content of proposal {live.pk}"
        )
    return live
