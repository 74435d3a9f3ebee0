"""Releases that contain updates which somebody can attest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.chain import merkle
from ledger.chain.block import Provenance, SubmissionEntry, submission_leaves, submissions_root
from ledger.chain.statement import Organization, OwnUpdate, OwnValidation
from tests.ledger.chains import hash_of, provenance

SAMPLES = 250


def entries(orgs: Sequence[str]) -> list[SubmissionEntry]:
    return [SubmissionEntry(org_id, hash_of(f"update of {org_id}"), SAMPLES) for org_id in sorted(orgs)]


def release_of(orgs: Sequence[str], number: int = 1, **changes: Any) -> Provenance:
    """A release's provenance whose root is over one update of each of them."""
    return provenance(number, orgs=orgs, submissions_root=submissions_root(entries(orgs)), **changes)


def own_part(org_id: str, orgs: Sequence[str], **changes: Any) -> Organization:
    """What that organisation says of itself: its update if it trained, and how the model did."""
    update = None
    if org_id in orgs:
        index = sorted(orgs).index(org_id)
        proof = merkle.inclusion_proof(submission_leaves(entries(orgs)), index)
        update = OwnUpdate(hash_of(f"update of {org_id}"), SAMPLES, index, tuple(node.hex() for node in proof))
    fields: dict[str, Any] = {
        "org_id": org_id,
        "trained": org_id in orgs,
        "update": update,
        "validation": OwnValidation("macro_binary_f1", 910_000, 930_000),
    }
    return Organization(**(fields | changes))
