"""Reads of the ledger."""

from ledger.selectors.blocks import (
    approvals_of,
    block_at,
    blocks_page,
    chain_id,
    chain_records,
    cosignatures,
    head,
    late_approvals_of,
    statements_about,
)
from ledger.selectors.membership import (
    admitted_key,
    coordinator_key_id,
    governance_page,
    is_member,
    is_retired,
    key_at,
    key_set,
    members,
    quorum_policy,
    signer_keys,
    was_member,
)
from ledger.selectors.passes import due_pass, last_pass
from ledger.selectors.proposals import (
    answers_to,
    proposal_by_id,
    proposal_of_round,
    proposals_for,
    proposals_page,
    revocations_against,
    unsigned_by_coordinator,
)
from ledger.selectors.release_outcomes import attested, withdrawal_of
from ledger.selectors.releases import chain_state, lineage, release_hash, releases_of
from ledger.selectors.soundness import require_sound_head
from ledger.selectors.standing import keys_of, proposals_about, votes_of, witnessing_of
from ledger.selectors.tree import newest_tree_position, stored_tree, tree_nodes, tree_rows

__all__ = [
    "admitted_key",
    "answers_to",
    "approvals_of",
    "attested",
    "block_at",
    "blocks_page",
    "chain_id",
    "chain_records",
    "chain_state",
    "coordinator_key_id",
    "cosignatures",
    "due_pass",
    "governance_page",
    "head",
    "is_member",
    "is_retired",
    "key_at",
    "key_set",
    "keys_of",
    "last_pass",
    "late_approvals_of",
    "lineage",
    "members",
    "newest_tree_position",
    "proposal_by_id",
    "proposal_of_round",
    "proposals_about",
    "proposals_for",
    "proposals_page",
    "quorum_policy",
    "release_hash",
    "releases_of",
    "require_sound_head",
    "revocations_against",
    "signer_keys",
    "statements_about",
    "stored_tree",
    "tree_nodes",
    "tree_rows",
    "unsigned_by_coordinator",
    "votes_of",
    "was_member",
    "withdrawal_of",
    "witnessing_of",
]
