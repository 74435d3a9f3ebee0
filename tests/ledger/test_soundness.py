"""A chain whose end is damaged, or that a full pass found bad, is not ready to be built on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flxdr.core.clock import ManualClock
from ledger import selectors
from ledger.chain.block import block_hash
from ledger.errors import BlockMissing, ChainUnsound
from ledger.models import Block
from ledger.services import passes
from tests.ledger.members import Consortium, tamper


def header_at(height: int) -> bytes:
    return bytes(Block.objects.get(height=height).header)


@pytest.fixture
def tip(consortium: Consortium) -> int:
    """The height of a chain with two members."""
    consortium.admit("org-a")
    consortium.admit("org-b")
    return selectors.head().height


@pytest.mark.usefixtures("empty_ledger")
def test_no_chain_at_all() -> None:
    with pytest.raises(BlockMissing):
        selectors.require_sound_head()


def test_a_chain_of_genesis_alone_and_a_longer_one(consortium: Consortium) -> None:
    selectors.require_sound_head()
    consortium.admit("org-a")
    selectors.require_sound_head()


def test_a_changed_byte_of_the_newest_header(tip: int) -> None:
    header = header_at(tip)
    tamper("UPDATE blocks SET header = %s WHERE height = %s", header.replace(b"org-b", b"org-x"), tip)
    with pytest.raises(ChainUnsound, match=f"block {tip}"):
        selectors.require_sound_head()


def test_a_newest_block_that_hangs_on_another_one(tip: int) -> None:
    below = Block.objects.get(height=tip - 1).block_hash.encode()
    header = header_at(tip).replace(below, b"ab" * 32)
    tamper("UPDATE blocks SET header = %s, block_hash = %s WHERE height = %s", header, block_hash(header), tip)
    with pytest.raises(ChainUnsound, match="does not follow"):
        selectors.require_sound_head()


def test_an_older_block_that_the_last_full_pass_found_bad(tip: int, clock: ManualClock) -> None:
    passes.make_overdue_pass(interval=timedelta(hours=1), clock=clock)
    selectors.require_sound_head()
    tamper("UPDATE blocks SET header = %s WHERE height = 1", header_at(1).replace(b"org-a", b"org-x"))
    selectors.require_sound_head()  # the end of the chain is as it was, and nobody has looked below it
    clock.advance(timedelta(hours=2))
    passes.make_overdue_pass(interval=timedelta(hours=1), clock=clock)
    with pytest.raises(ChainUnsound, match="full verification"):
        selectors.require_sound_head()
