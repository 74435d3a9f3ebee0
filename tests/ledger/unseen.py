"""What no verification of the chain alone can see, made by the signers themselves or with all of their signatures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec

from ledger.chain.record import ChainRecord
from tests.ledger.chains import POLICY, ChainBuilder
from tests.ledger.tampering import MEMBERS, RELEASES, TIP


def rewritten(chain: ChainBuilder) -> list[ChainRecord]:
    """The quorum that signed the last releases signs others in their place."""
    chain.records = chain.records[:-2]
    for number in (RELEASES - 1, RELEASES):
        chain.release(number, orgs=MEMBERS, samples_total=7)
    return chain.records


def _rolled_back(chain: ChainBuilder) -> list[ChainRecord]:
    """A backup of two blocks ago is put back, and life goes on from there."""
    records = rewritten(chain)
    chain.release(RELEASES + 1, orgs=MEMBERS)
    return records


def replaced(_: ChainBuilder) -> list[ChainRecord]:
    """The coordinator founds another chain, and all its members sign that one as well."""
    chain = ChainBuilder(policy=msgspec.structs.replace(POLICY, minimum=3))
    chain.admit(*MEMBERS)
    for number in range(1, RELEASES + 1):
        chain.release(number, orgs=MEMBERS)
    return chain.records


def _stripped(chain: ChainBuilder) -> list[ChainRecord]:
    """Four of four approved the newest block, three are enough: the fourth's approval goes."""
    return [*chain.records[:-1], replace(chain.tip, approvals=chain.tip.approvals[:-1])]


UNSEEN: dict[str, tuple[Callable[[ChainBuilder], list[ChainRecord]], tuple[int, str] | None]] = {
    "truncation": (lambda c: c.records[:-2], (TIP - 1, "checkpoint_beyond_chain")),
    "emptied down to its genesis": (lambda c: c.records[:1], (1, "checkpoint_beyond_chain")),
    "rolled back to a backup": (_rolled_back, (TIP, "checkpoint_root_mismatch")),
    "rewritten by the quorum that signed it": (rewritten, (TIP, "checkpoint_root_mismatch")),
    "replaced as a whole": (replaced, (0, "checkpoint_of_another_chain")),
    "an approval above the quorum stripped at the tip": (_stripped, None),
}
"""What is done, and what a checkpoint of the chain before shows (None: nothing, approvals are not in the tree)."""
