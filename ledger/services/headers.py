"""The header of a proposal that opens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from flxdr.core.clock import Clock, format_timestamp, parse_timestamp
from ledger import selectors
from ledger.chain.block import Governance, Header, Provenance, parse_header, parse_provenance
from ledger.chain.checks import check_extension
from ledger.chain.entries import Action, WithdrawRelease
from ledger.chain.state import ChainState
from ledger.models import Proposal


def build_header(*, proposal: Proposal, clock: Clock) -> tuple[Header, bytes]:
    """The header that puts a proposal's content on top of the newest block, and its bytes.

    Called inside the caller's transaction, which holds the chain.

    Raises:
        ledger.chain.failures.BlockInvalid: the content does not extend the chain.
    """
    provenance: Provenance | None = None
    actions: tuple[Action, ...] = ()
    if proposal.type == Proposal.Type.RELEASE:
        provenance = parse_provenance(proposal.content["provenance"])
    else:
        actions = msgspec.convert(proposal.content["actions"], tuple[Action, ...])
    state = selectors.chain_state(model_concerned(provenance, actions))
    rule = state.keys.rule_for(
        training_orgs=provenance.training_orgs if provenance else None, action=actions[0] if actions else None
    )
    header = Header(
        v=1,
        type="release" if provenance else "governance",
        chain_id=state.chain_id,
        height=state.height + 1,
        timestamp=_timestamp(state, clock),
        prev_hash=state.block_hash,
        prev_cert=state.cert_hash,
        model_hash=proposal.content.get("model_hash"),
        provenance=provenance,
        governance=Governance(rule=rule.rule, voters=rule.voters, threshold=rule.threshold, actions=actions),
    )
    check_extension(state, header)
    return header, header.encode()


def model_concerned(provenance: Provenance | None, actions: Sequence[Action]) -> str | None:
    """The model whose releases a block continues or withdraws."""
    if provenance is not None:
        return provenance.model_name
    return next((action.model_name for action in actions if isinstance(action, WithdrawRelease)), None)


def _timestamp(state: ChainState, clock: Clock) -> str:
    """Now; but a clock that was set back makes neither the chain run backwards nor two headers of one height equal."""
    now = max(format_timestamp(clock.now()), state.timestamp)
    tried = Proposal.objects.filter(height=state.height + 1, header__isnull=False).values_list("header", flat=True)
    newest = max((parse_header(bytes(header)).timestamp for header in tried if header is not None), default="")
    return now if now > newest else format_timestamp(parse_timestamp(newest) + timedelta(microseconds=1))
