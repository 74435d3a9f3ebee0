"""What may be claimed of the chain, and what it is claimed on: the last full pass, and what happened since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import ledger.selectors
from flxdr.core.errors import FlxdrError
from ledger.chain.block import Governance, parse_header
from ledger.errors import BlockMissing
from ledger.models import Block, VerificationPass
from ledger.selectors.explorer import approving_counts

STALE_AFTER = 2
"""A pass is old when twice the schedule's interval went by since it began."""

State = Literal["unknown", "invalid", "replaced", "stale", "behind", "valid"]


@dataclass(frozen=True)
class Evidence:
    """The chain's head with its approvals, and the last full pass over the chain.

    Attributes:
        rule: how the head says that it is sealed; None if its bytes cannot be read.
        approving: organisations that approved the head.
        state: `valid` only if a full pass found every block good, is not old, and its newest block is still there.
        newer: blocks above the last one that any pass found good.
        due: the full pass that somebody asked for and that has not ended.
    """

    chain_id: str
    head: Block
    rule: Governance | None
    approving: int
    state: State
    newer: int
    last: VerificationPass | None
    due: VerificationPass | None

    @property
    def total(self) -> int:
        return self.head.height + 1


def read_evidence(now: datetime, *, interval: timedelta) -> Evidence:
    """Read it; nothing is verified.

    Args:
        interval: between two scheduled passes.

    Raises:
        BlockMissing: the chain is empty.
    """
    head, last = ledger.selectors.head(), ledger.selectors.last_pass()
    verified_to = -1 if last is None or last.verified_to is None else last.verified_to
    newer = max(0, head.height - verified_to)
    return Evidence(
        chain_id=ledger.selectors.chain_id(),
        head=head,
        rule=_rule_of(head),
        approving=approving_counts([head.block_hash])[head.block_hash],
        state=_state_of(last, newer, now, interval),
        newer=newer,
        last=last,
        due=ledger.selectors.due_pass(),
    )


def _rule_of(head: Block) -> Governance | None:
    try:
        return parse_header(bytes(head.header)).governance
    except FlxdrError:
        return None


def _state_of(last: VerificationPass | None, newer: int, now: datetime, interval: timedelta) -> State:
    if last is None or last.began_at is None:
        return "unknown"
    if not last.valid:
        return "invalid"
    if not _is_there(last):
        return "replaced"
    if last.began_at + STALE_AFTER * interval < now:
        return "stale"
    return "behind" if newer else "valid"


def _is_there(last: VerificationPass) -> bool:
    """Whether the block that was the newest one when the pass began is still on the chain."""
    try:
        return last.tip is not None and ledger.selectors.block_at(last.tip).block_hash == last.tip_hash
    except BlockMissing:
        return False
