"""The ledger as JSON documents: what the API answers and other apps embed in their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from flxdr.core.clock import format_timestamp
from flxdr.core.dsse import IN_TOTO_TYPE, Envelope, encode_base64
from ledger import selectors
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import Provenance, parse_header
from ledger.chain.entries import COORDINATOR, Rotate, index_entry
from ledger.models import Approval, Block, Proposal, ReleaseStatement, SignerKey


def head_document() -> dict[str, Any]:
    """`{chain_id, height, block_hash}` of the newest block."""
    newest = selectors.head()
    return {"chain_id": selectors.chain_id(), "height": newest.height, "block_hash": newest.block_hash}


def block_documents(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """Blocks as the API shows them, signatures by organisation."""
    hashes = [block.block_hash for block in blocks]
    approvals, late = selectors.approvals_of(hashes), selectors.late_approvals_of(hashes)
    return [
        _block_document(block, approvals.get(block.block_hash, []), late.get(block.block_hash, [])) for block in blocks
    ]


def lineage_documents(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """The releases of a lineage."""
    return [_lineage_document(block) for block in blocks]


def proposal_documents(proposals: Sequence[Proposal]) -> list[dict[str, Any]]:
    """Proposals with the answers given so far."""
    answers = selectors.answers_to(proposals)
    late = selectors.late_approvals_of(proposal.block_hash for proposal in proposals if proposal.block_hash)
    return [
        _proposal_document(
            proposal, answers.get(proposal.block_hash or "", []), late.get(proposal.block_hash or "", [])
        )
        for proposal in proposals
    ]


def proposal_document(proposal: Proposal) -> dict[str, Any]:
    """One proposal with the answers given so far."""
    return proposal_documents([proposal])[0]


def governance_document(entries: Sequence[Block]) -> dict[str, Any]:
    """The policy and keys in force, the retired keys, and some governance blocks' entries."""
    keys = selectors.signer_keys()
    members: dict[str, dict[str, Any]] = {}
    for key in (key for key in keys if key.revoked_height is None):
        holder = members.setdefault(key.org_id, {"org_id": key.org_id, "org_name": key.org_name, "keys": []})
        holder["keys"].append(_key_document(key))
    coordinator = members.pop(COORDINATOR)["keys"][0]
    return {
        "policy": msgspec.to_builtins(selectors.quorum_policy()),
        "coordinator": coordinator,
        "members": sorted(members.values(), key=lambda member: str(member["org_id"])),
        "retired": [
            {"org_id": key.org_id, "retired_height": key.revoked_height, **_key_document(key)}
            for key in keys
            if key.revoked_height is not None
        ],
        "entries": [_entry_document(block) for block in entries],
    }


def _key_document(key: SignerKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "algorithm": key.algorithm,
        "public_key": encode_base64(bytes(key.spki)),
        "admitted_height": key.admitted_height,
    }


def _entry_document(block: Block) -> dict[str, Any]:
    """An entry without its signatures, which the block itself shows."""
    header = parse_header(bytes(block.header))
    (entry,) = header.governance.actions
    said = msgspec.to_builtins(entry)
    return {
        "height": header.height,
        "timestamp": header.timestamp,
        "rule": header.governance.rule,
        **index_entry(entry),
        "retires": entry.statement.retires if isinstance(entry, Rotate) else None,
        **{name: said.get(name) for name in ("compromised_since", "model_hash", "policy", "reason")},
    }


def statements_document(height: int, statements: Sequence[ReleaseStatement]) -> dict[str, Any]:
    """What organisations attest of a release, each as the DSSE envelope that it sent."""
    return {"height": height, "statements": [_statement_document(statement) for statement in statements]}


def _statement_document(statement: ReleaseStatement) -> dict[str, Any]:
    signatures = [(statement.key_id, bytes(statement.signature))]
    return {
        "org_id": statement.org_id,
        "envelope": Envelope(IN_TOTO_TYPE, bytes(statement.payload), signatures).as_json(),
    }


def _block_document(
    block: Block, approvals: Sequence[SignedApproval], late: Sequence[SignedApproval]
) -> dict[str, Any]:
    header = parse_header(bytes(block.header))
    return {
        "height": header.height,
        "type": header.type,
        "timestamp": header.timestamp,
        "block_hash": block.block_hash,
        "prev_hash": header.prev_hash,
        "prev_cert": header.prev_cert,
        "model_hash": header.model_hash,
        "signatures": {approval.org_id: encode_base64(approval.signature) for approval in sorted(approvals)},
        "late_approvals": [approval.as_json() for approval in sorted(late)],
        "provenance": _provenance_document(header.provenance),
        "governance": msgspec.to_builtins(header.governance),
    }


def _provenance_document(provenance: Provenance | None) -> dict[str, Any]:
    if provenance is None:
        # Genesis and governance blocks release no model; the members that every client reads are there all the same.
        return {"round_id": None, "model_version": None, "aggregation_method": None, "training_orgs": []}
    document: dict[str, Any] = msgspec.to_builtins(provenance)
    return {**document, "model_version": f"v{provenance.model_version}"}


def _lineage_document(block: Block) -> dict[str, Any]:
    header = parse_header(bytes(block.header))
    provenance = header.provenance
    assert provenance is not None, "only releases have a model hash"
    return {
        "block_height": header.height,
        "model_hash": header.model_hash,
        "model_name": provenance.model_name,
        "model_version": f"v{provenance.model_version}",
        "parent_model_hash": provenance.parent_model_hash,
        "training_orgs": list(provenance.training_orgs),
        "round_id": provenance.round_id,
        "aggregation_method": provenance.aggregation_method,
        "timestamp": header.timestamp,
    }


def _proposal_document(
    proposal: Proposal, answers: Sequence[Approval], late: Sequence[SignedApproval]
) -> dict[str, Any]:
    approving = [answer.org_id for answer in answers if answer.verdict == Approval.Verdict.APPROVE]
    rejections = [_rejection_document(answer) for answer in answers if answer.verdict == Approval.Verdict.REJECT]
    return {
        "id": proposal.pk,
        "type": proposal.type,
        "status": proposal.status,
        "header": encode_base64(bytes(proposal.header)) if proposal.header is not None else None,
        "block_hash": proposal.block_hash,
        "height": proposal.height,
        "model_hash": proposal.model_hash,
        "round_id": proposal.round_id,
        "org_id": proposal.org_id,
        "subject": proposal.subject,
        "rule": proposal.rule or None,
        "voters": proposal.voters,
        "threshold": proposal.threshold,
        "approvals": approving,
        "late_approvals": sorted(approval.org_id for approval in late),
        "rejections": rejections,
        "deadline": format_timestamp(proposal.deadline) if proposal.deadline else None,
        "end_reason": proposal.end_reason or None,
    }


def _rejection_document(answer: Approval) -> dict[str, str]:
    """A refusal with its signature, so that whoever reads it can check that the proposal is lost."""
    return {
        "org_id": answer.org_id,
        "key_id": answer.key_id,
        "reason": answer.reason,
        "signature": encode_base64(bytes(answer.signature)),
    }
