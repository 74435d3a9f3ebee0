"""What follows when the organisations have decided on a candidate: a released model, or a failed round."""

from __future__ import annotations

from federation.models import ModelVersion
from federation.services import governed, round_failure
from federation.services.queue import ADVANCE_CAMPAIGN, enqueue
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core.clock import Clock, ManualClock, SystemClock
from flxdr.platform.audit import record_event
from ledger.chain.entries import Action
from ledger.models import Block, Proposal
from privacy.services import budget

QUORUM_NOT_REACHED = "quorum_not_reached"


class ReleaseListener:
    """The ledger's `ProposalListener` of the federation; runs inside the ledger's transaction."""

    def release_sealed(self, *, proposal: Proposal, block: Block) -> None:
        """The candidate becomes the global model and its round is completed."""
        version = _candidate(proposal)
        if version is None or version.training_round is None:
            return
        clock = _clock_of(proposal)
        training_round = version.training_round
        ModelVersion.objects.filter(pk=version.pk).update(
            status=ModelVersion.Status.RELEASED, block_height=block.height
        )
        completed = move(
            round_id=training_round.round_id,
            source=Status.VERIFYING,
            target=Status.COMPLETED,
            actor=COORDINATOR,
            reason=f"sealed in block {block.height}",
            clock=clock,
            finished_at=clock.now(),
        )
        if not completed:
            raise RuntimeError(f"{training_round.round_id} has a sealed release and is not verifying")
        _settle(version, clock)
        record_event(
            kind="model.released",
            actor=COORDINATOR,
            subject=version.model_hash,
            data={"model": version.model_name, "version": version.version, "block_height": block.height},
            stream=training_round.round_id,
            clock=clock,
        )
        if training_round.campaign_id is not None:
            enqueue(ADVANCE_CAMPAIGN, campaign_id=training_round.campaign_id)

    def entry_sealed(self, *, block: Block, entry: Action, clock: Clock) -> None:
        """Organisations come, go and change keys; releases stop standing."""
        governed.follow(entry, block=block, clock=clock)

    def proposal_ended(self, *, proposal: Proposal, reason: str) -> None:
        """No quorum approved the candidate: it never becomes the global model, and what its round cost stays spent."""
        version = _candidate(proposal)
        if version is None or version.training_round is None:
            return
        clock = _clock_of(proposal)
        _settle(version, clock)
        round_failure.fail_round(
            round_id=version.training_round.round_id,
            code=QUORUM_NOT_REACHED,
            reason=reason,
            sources=(Status.VERIFYING,),
            clock=clock,
        )


def _candidate(proposal: Proposal) -> ModelVersion | None:
    return (
        ModelVersion.objects.select_related("training_round")
        .filter(proposal_id=proposal.pk, status=ModelVersion.Status.CANDIDATE)
        .first()
    )


def _clock_of(proposal: Proposal) -> Clock:
    """The moment at which the ledger decided; its transaction has one time."""
    return ManualClock(proposal.ended_at) if proposal.ended_at is not None else SystemClock()


def _settle(version: ModelVersion, clock: Clock) -> None:
    assert version.training_round is not None
    submitted = version.training_round.submissions.values_list("organization__org_id", flat=True)
    budget.settle(round_id=version.training_round.round_id, org_ids=sorted(submitted), clock=clock)
