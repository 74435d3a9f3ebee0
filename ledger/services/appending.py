"""The only place that adds a block."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.core.clock import parse_timestamp
from flxdr.core.dsse import decode_base64
from ledger import selectors
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import Header, index_columns
from ledger.chain.checks import advance
from ledger.chain.entries import COORDINATOR, Admit, Found, KeyEntry
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.chain.tree import Frontier, stored_nodes, whole
from ledger.models import Block, SignerKey, TreeNode
from ledger.services.locking import lock_chain


def append_block(*, header: bytes, approvals: Sequence[SignedApproval], state: ChainState | None) -> Block:
    """Verify a block exactly as an outsider will, then store it, add it to the tree and index its keys.

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
    _index_keys(parsed)
    return block


def _grow_tree(size: int, header: bytes) -> None:
    frontier = Frontier.from_nodes(size, selectors.tree_nodes(whole(size)))
    first = stored_nodes(size)
    TreeNode.objects.bulk_create(
        TreeNode(position=first + number, hash=node) for number, node in enumerate(frontier.append(header))
    )


def _index_keys(header: Header) -> None:
    for action in header.governance.actions:
        if isinstance(action, Found):
            _index_key(action.coordinator, COORDINATOR, "Coordinator", header.height)
        elif isinstance(action, Admit):
            _index_key(action.key, action.org_id, action.statement.org_name, header.height)


def _index_key(entry: KeyEntry, org_id: str, org_name: str, height: int) -> None:
    SignerKey.objects.create(
        key_id=entry.key_id,
        org_id=org_id,
        org_name=org_name,
        algorithm=entry.algorithm,
        spki=decode_base64(entry.spki, "spki"),
        admitted_height=height,
    )
