"""The only place that adds blocks."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.core.clock import parse_timestamp
from flxdr.core.dsse import decode_base64
from ledger import selectors
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import block_hash, index_columns
from ledger.chain.checks import advance
from ledger.chain.entries import COORDINATOR, Action, Admit, Found, KeyEntry, Revoke, Rotate, index_entry
from ledger.chain.failures import BlockInvalid
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
    (block,), _ = append_blocks(records=[ChainRecord(header, approvals)], state=state)
    return block


def append_blocks(*, records: Sequence[ChainRecord], state: ChainState | None) -> tuple[list[Block], ChainState | None]:
    """Append blocks that follow each other, in few statements; otherwise as `append_block`.

    Returns:
        The blocks, and the chain after them.

    Raises:
        ledger.chain.failures.BlockInvalid: one of them does not extend the chain; none is stored. Its field `height`
            says which.
        ledger.errors.TreeDamaged: somebody removed nodes of the stored tree.
    """
    lock_chain()
    size = state.height + 1 if state else 0
    blocks: list[Block] = []
    entries: list[tuple[int, Action]] = []
    for record in records:
        try:
            state, header = advance(state, record)
        except BlockInvalid as error:
            error.fields["height"] = size + len(blocks)
            raise
        columns = index_columns(header, block_hash(record.header))
        blocks.append(Block(**{**columns, "timestamp": parse_timestamp(header.timestamp)}, header=record.header))
        entries += [(header.height, action) for action in header.governance.actions]
    Block.objects.bulk_create(blocks)
    _grow_tree(size, [record.header for record in records])
    for height, action in entries:
        GovernanceEntry.objects.create(height=height, **index_entry(action))
        _index_keys(action, height)
    return blocks, state


def _grow_tree(size: int, headers: Sequence[bytes]) -> None:
    frontier = Frontier.from_nodes(size, selectors.tree_nodes(whole(size)))
    nodes = [node for header in headers for node in frontier.append(header)]
    first = stored_nodes(size)
    TreeNode.objects.bulk_create(TreeNode(position=first + number, hash=node) for number, node in enumerate(nodes))


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
