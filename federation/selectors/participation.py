"""What one organisation asks: what waits for me, and was my update counted."""

from __future__ import annotations

import base64
from typing import Any

from django.db.models import Exists, OuterRef

import ledger.selectors
from federation.errors import SubmissionMissing
from federation.models import ModelVersion, Submission, TrainingRound
from federation.round_config import RoundConfig
from federation.selectors import masking
from federation.selectors.rounds import counted_submissions, round_by_id
from flxdr.core.clock import SystemClock, format_timestamp
from ledger.chain import merkle
from ledger.chain.block import SubmissionEntry, submission_leaves
from ledger.documents import head_document, proposal_documents


def current_round_for(org_id: str, model: str | None = None) -> dict[str, Any]:
    """What waits for an organisation: its open round, the proposals that await its vote, and the chain's head.

    Of several open rounds (of several models) the oldest that awaits its update comes first. Proposals to revoke a key
    of its own are there too, though it has no vote on them: it is to know while somebody can still say no.
    """
    voting = ledger.selectors.proposals_for(org_id)
    against = [proposal for proposal in ledger.selectors.revocations_against(org_id) if proposal not in voting]
    return {
        "round": _open_round(org_id, model),
        "proposals": proposal_documents([*voting, *against]),
        "head": head_document(),
    }


def own_submission(org_id: str, round_id: str) -> dict[str, Any]:
    """An organisation's submission and, once its round has proposed a model, the proof that the block covers it.

    Raises:
        RoundMissing, SubmissionMissing
    """
    training_round = round_by_id(round_id)
    own = training_round.submissions.filter(organization__org_id=org_id).first()
    if own is None:
        raise SubmissionMissing(f"{org_id} has no submission in {round_id}")
    return {
        "gradient_id": own.gradient_id,
        "round_id": round_id,
        "submission_digest": own.wire_digest,
        "samples": own.samples,
        "received_at": format_timestamp(own.received_at),
    } | _inclusion(training_round, own)


def _open_round(org_id: str, model: str | None) -> dict[str, Any] | None:
    submitted = Exists(Submission.objects.filter(training_round=OuterRef("pk"), organization__org_id=org_id))
    rounds = TrainingRound.objects.filter(
        status__in=TrainingRound.OPEN, participants__organization__org_id=org_id
    ).annotate(submitted=submitted)
    if model is not None:
        rounds = rounds.filter(model_name=model)
    opened = list(rounds.order_by("id"))  # one a model at most
    if not opened:
        return None
    awaiting = [each for each in opened if _is_awaited(each, org_id)]
    current = awaiting[0] if awaiting else opened[0]
    config = bytes(current.config)
    return {
        "round_id": current.round_id,
        "round_number": current.number,
        "model_name": current.model_name,
        "status": current.status,
        "config": base64.b64encode(config).decode(),
        "config_hash": current.config_hash,
        "parent_hash": RoundConfig.decode(config).parent_hash,
        "deadline": format_timestamp(current.deadline),
        "submitted": current.submitted,
        "step": current.step or None,
        "awaited": bool(awaiting),
    }


def _is_awaited(current: TrainingRound, org_id: str) -> bool:
    """Whether the round waits for the organisation: for its update, or for its answer to a masked round's step."""
    if current.status != TrainingRound.Status.IN_PROGRESS:
        return False
    if current.step:
        return masking.is_awaited(current, org_id, now=SystemClock().now())
    submitted: bool = current.submitted  # type: ignore[attr-defined]  # annotated by the query
    return not submitted


def _inclusion(training_round: TrainingRound, own: Submission) -> dict[str, Any]:
    """The proof for a submission that counts, once the round has proposed a model; nulls else."""
    rows = list(counted_submissions(training_round).defer("statement", "signature", "metrics"))
    index = next((place for place, row in enumerate(rows) if row.pk == own.pk), None)
    if index is None or not ModelVersion.objects.filter(training_round=training_round).exists():
        return {"leaf_index": None, "tree_size": None, "proof": None, "submissions_root": None}
    leaves = submission_leaves(SubmissionEntry(row.organization.org_id, row.wire_digest, row.samples) for row in rows)
    return {
        "leaf_index": index,
        "tree_size": len(leaves),
        "proof": [node.hex() for node in merkle.inclusion_proof(leaves, index)],
        "submissions_root": merkle.root(leaves).hex(),
    }
