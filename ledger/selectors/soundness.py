"""Whether the chain can be built on: what its end shows in a moment, and what the last full pass found."""

from __future__ import annotations

from ledger.chain.block import block_hash, parse_header
from ledger.errors import ChainUnsound
from ledger.models import Block
from ledger.selectors.blocks import head
from ledger.selectors.passes import last_pass


def require_sound_head() -> None:
    """Refuse a chain whose newest block is not what its hash says, or hangs on another block than the one below it.

    Older blocks are the full passes' to verify; the last one must not have found a bad block.

    Raises:
        BlockMissing: the chain has no genesis.
        ChainUnsound: the newest block is damaged, or a full pass found one that is.
    """
    newest = head()
    header = bytes(newest.header)
    if block_hash(header) != newest.block_hash:
        raise ChainUnsound(f"the header of block {newest.height} is not the one that was hashed", height=newest.height)
    below = Block.objects.filter(height=newest.height - 1).values_list("block_hash", flat=True).first()
    if newest.height and parse_header(header).prev_hash != below:
        raise ChainUnsound(f"block {newest.height} does not follow the block below it", height=newest.height)
    last = last_pass()
    if last is not None and last.valid is False:
        raise ChainUnsound("the last full verification found a bad block", height=last.verified_to)
