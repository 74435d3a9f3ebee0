"""The only place that adds a block."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.core.clock import parse_timestamp
from flxdr.core.dsse import decode_base64
from ledger import selectors
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import index_columns
from ledger.chain.checks import advance
from ledger.chain.entries import COORDINATOR, Action, Admit, Found, KeyEntry, Revoke, Rotate, index_entry
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.tree import Frontier, stored_nodes, whole
from ledger.models import Block, GovernanceEntry, SignerKey, TreeNode
from ledger.services.locking import lock_chain


def append_block(*, header: bytes, approvals: Sequence[SignedApproval], state: ChainState | None) -> Block:
    """Verify a block exactly as an outsider will, then store it, add it to the tree and index its entries.

    Called inside the caller's transaction. `state` is the chain before (None for genesis).

    Raises:
        ledger.chain.failures.BlockInvalid: the block does not extend the chain; nothing is stored.
        ledger.errors.TreeDamaged: somebody removed nodes of the stored tree.
    """
    lock_chain()
    _, parsed = advance(state, ChainRecord(header, approvals))
    columns = index_columns(parsed, header)
    block = Block.objects.create(**{**columns, "timestamp": parse_timestamp(parsed.timestamp)}, header=header)
    _grow_tree(parsed.height, header)
    for action in parsed.governance.actions:
        GovernanceEntry.objects.create(height=parsed.height, **index_entry(action))
        _index_keys(action, parsed.height)
    return block


def _grow_tree(size: int, header: bytes) -> None:
    frontier = Frontier.from_nodes(size, selectors.tree_nodes(whole(size)))
    first = stored_nodes(size)
    TreeNode.objects.bulk_create(
        TreeNode(position=first + number, hash=node) for number, node in enumerate(frontier.append(header))
    )


def _index_keys(action: Action, height: int) -> None:
    match action:
        case Found():
            _index_key(action.coordinator, COORDINATOR, "Coordinator", height)
        case Admit():
            _index_key(action.key, action.org_id, action.statement.org_name, height)
        case Rotate():
            retired = SignerKey.objects.get(key_id=action.statement.retires)
            _index_key(action.key, retired.org_id, retired.org_name, height)
            _retire(retired.key_id, height)
        case Revoke():
            _retire(action.key_id, height)


def _index_key(entry: KeyEntry, org_id: str, org_name: str, height: int) -> None:
    SignerKey.objects.create(
        key_id=entry.key_id,
        org_id=org_id,
        org_name=org_name,
        algorithm=entry.algorithm,
        spki=decode_base64(entry.spki, "spki"),
        admitted_height=height,
    )


def _retire(key_id: str, height: int) -> None:
    SignerKey.objects.filter(key_id=key_id).update(revoked_height=height)
