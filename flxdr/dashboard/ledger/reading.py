"""The explorer's content: a page of blocks, each with what it changed, and who decides about the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import ledger.selectors
from flxdr.core.errors import Malformed
from flxdr.dashboard.paging import PAGE_SIZE
from flxdr.platform.keyset import Cursor, Slice
from ledger.chain.checkpoint import SignedCheckpoint
from ledger.chain.entries import PolicyEntry
from ledger.chain.quorum import threshold
from ledger.models import Block, Cosignature, GovernanceEntry
from ledger.selectors.blocks import newest_cosigned
from ledger.selectors.explorer import (
    BlockFilter,
    approving_counts,
    blocks_matching,
    entries_at,
    withdrawal_of,
)
from ledger.selectors.proposals import count_waiting
from ledger.services.checkpoints import checkpoint, verifier_key_of_log
from ledger.services.inspection import Check, Inspection, inspect_block


@dataclass(frozen=True)
class BlockRow:
    """A line of the list: the block, what it changed of keys or rules, and how many organisations approved it."""

    block: Block
    entry: GovernanceEntry | None
    approving: int
    is_withdrawn: bool


@dataclass(frozen=True)
class Council:
    """Who decides about the next block: members with a key in force, the policy, and how many must approve."""

    policy: PolicyEntry
    members: int
    threshold: int
    waiting: int


@dataclass(frozen=True)
class Explorer:
    """The page of the list, and how many blocks match in all."""

    slice: Slice[Block]
    rows: Sequence[BlockRow]
    total: int
    council: Council | None


def read_explorer(wanted: BlockFilter, cursor: Cursor) -> Explorer:
    """Read it, in a number of queries that does not depend on the chain's length."""
    found, total = blocks_matching(wanted, cursor, limit=PAGE_SIZE)
    entries = entries_at(block.height for block in found.items)
    approving = approving_counts(block.block_hash for block in found.items)
    rows = [
        BlockRow(block, entries.get(block.height), approving[block.block_hash], bool(vars(block)["is_withdrawn"]))
        for block in found.items
    ]
    return Explorer(found, rows, total, read_council())


def read_council() -> Council | None:
    """Who decides, as the chain says now; None if the block that says so cannot be read."""
    try:
        policy = ledger.selectors.quorum_policy()
    except Malformed:
        return None
    members = len(ledger.selectors.members())
    return Council(policy, members, threshold(policy, members) if members else 0, count_waiting())


@dataclass(frozen=True)
class BlockReading:
    """One block as it was inspected, with its neighbours and what became of its release."""

    inspection: Inspection
    chain_id: str
    head: int
    entry: GovernanceEntry | None
    withdrawal: GovernanceEntry | None
    text: str

    @property
    def block(self) -> Block:
        return self.inspection.block

    @property
    def is_newest(self) -> bool:
        return self.block.height == self.head

    @property
    def bad(self) -> Sequence[Check]:
        return [check for check in self.inspection.checks if not check.holds]

    @property
    def metrics(self) -> Sequence[tuple[str, float]]:
        """What the participants reported, unscaled."""
        header = self.inspection.header
        if header is None or header.provenance is None:
            return ()
        return [(name, value / 1_000_000) for name, value in sorted(header.provenance.metrics_ppm.items())]


def read_block(height: int) -> BlockReading:
    """Inspect a block, now.

    Raises:
        ledger.errors.BlockMissing: no such height.
    """
    inspection = inspect_block(height=height)
    return BlockReading(
        inspection=inspection,
        chain_id=ledger.selectors.chain_id(),
        head=ledger.selectors.head().height,
        entry=entries_at([height]).get(height),
        withdrawal=withdrawal_of(inspection.block),
        text=bytes(inspection.block.header).decode(errors="backslashreplace"),
    )


@dataclass(frozen=True)
class CheckpointReading:
    """The newest checkpoint: the note, and who cosigned it."""

    signed: SignedCheckpoint
    note: str
    log_key: str
    cosignatures: Sequence[Cosignature]
    members: int
    newest_cosigned: int | None


def read_checkpoint() -> CheckpointReading:
    """Make the checkpoint of the whole chain.

    Raises:
        ledger.errors.TreeDamaged: the stored tree lacks nodes.
    """
    signed = checkpoint()
    return CheckpointReading(
        signed=signed,
        note=signed.encode().decode(),
        log_key=verifier_key_of_log(),
        cosignatures=ledger.selectors.cosignatures(signed.checkpoint.size),
        members=len(ledger.selectors.members()),
        newest_cosigned=newest_cosigned(),
    )
