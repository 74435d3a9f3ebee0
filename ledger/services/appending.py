"""The only place that adds a block."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.core.clock import parse_timestamp
from flxdr.core.dsse import decode_base64
from ledger.chain.approvals import SignedApproval
from ledger.chain.block import COORDINATOR, Admit, Found, Header, KeyEntry, index_columns
from ledger.chain.checks import advance
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState
from ledger.models import Block, SignerKey
from ledger.services.locking import lock_chain


def append_block(*, header: bytes, approvals: Sequence[SignedApproval], state: ChainState | None) -> Block:
    """Verify a block exactly as an outsider will, then store it and index the keys that it admits.

    Called inside the caller's transaction. `state` is the chain before (None for genesis).

    Raises:
        ledger.chain.failures.BlockInvalid: the block does not extend the chain; nothing is stored.
    """
    lock_chain()
    _, parsed = advance(state, ChainRecord(header, approvals))
    columns = index_columns(parsed, header)
    block = Block.objects.create(**{**columns, "timestamp": parse_timestamp(parsed.timestamp)}, header=header)
    _index_keys(parsed)
    return block


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
