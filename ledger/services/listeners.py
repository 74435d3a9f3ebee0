"""What the layers above want to know when a proposal ends or an entry is restored; they register at start-up."""

from __future__ import annotations

from typing import Protocol

from flxdr.core.clock import Clock
from ledger.chain.block import parse_header
from ledger.chain.entries import Action
from ledger.models import Block, Proposal


class ProposalListener(Protocol):
    """Called inside the transaction that seals, restores or ends what they are about, with the chain locked.

    An exception undoes the whole transition.
    """

    def release_sealed(self, *, proposal: Proposal, block: Block) -> None:
        """A model was released."""

    def entry_sealed(self, *, block: Block, entry: Action, clock: Clock) -> None:
        """Keys, the policy or the standing of a release changed; the index over the chain says so already."""

    def proposal_ended(self, *, proposal: Proposal, reason: str) -> None:
        """A proposal ended without a block: status rejected, expired or withdrawn."""


_listeners: list[ProposalListener] = []


def register(listener: ProposalListener) -> None:
    """Add a listener; the same one twice counts once."""
    if listener not in _listeners:
        _listeners.append(listener)


def unregister(listener: ProposalListener) -> None:
    """Remove a listener that was registered."""
    _listeners.remove(listener)


def registered() -> tuple[ProposalListener, ...]:
    """All listeners in the order of their registration."""
    return tuple(_listeners)


def tell_entries(block: Block, clock: Clock) -> None:
    """Tell the listeners of what a governance block, which was appended, changed."""
    if block.type != Block.Type.GOVERNANCE:
        return
    for entry in parse_header(bytes(block.header)).governance.actions:
        for listener in registered():
            listener.entry_sealed(block=block, entry=entry, clock=clock)
