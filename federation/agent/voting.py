"""The vote book: every decision is signed and written down before the coordinator hears of it.

One block, one decision; one height, one approved block. An approval is let go only when the rejections that other
members signed prove that its block can never be sealed, or when a person says so.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from federation.agent.errors import CheckFailed, Refused
from federation.agent.proposals import Proposal, fetch_proposal, list_proposals, read_proposal, reason_text
from federation.agent.session import Agent
from federation.agent.state_rows import Decision, Vote
from flxdr.core import dsse
from flxdr.core.clock import format_timestamp
from flxdr.core.errors import FlxdrError
from ledger.chain.approvals import rejection_statement
from ledger.chain.quorum import SealRule
from ledger.chain.state import ChainState

_LAPSED = frozenset({"expired", "rejected", "withdrawn"})
_ENDED = frozenset({"proposal_not_open", "not_a_voter", "key_not_admitted", "proposal_not_found", "already_answered"})


class VoteConflict(CheckFailed):
    """A vote that would contradict one that this agent has given."""

    code = "vote_conflict"
    title = "Contradicts an earlier vote"


def cast(agent: Agent, proposal: Proposal, decision: Decision, reason: str = "") -> Vote:
    """Sign a decision and write it into the vote book. The same decision again is the one that stands there.

    Raises:
        VoteConflict: this block was decided otherwise, or another block at its height is approved.
    """
    height = proposal.parsed_height()
    if decision == "approve":
        signature = dsse.sign(agent.key, dsse.BLOCK_TYPE, proposal.header)
    else:
        reason = reason_text(reason)
        statement = rejection_statement(block_hash=proposal.block_hash, org_id=agent.org_id, reason=reason)
        signature = dsse.sign(agent.key, dsse.REJECTION_TYPE, statement)
    vote = Vote(
        block_hash=proposal.block_hash,
        height=height,
        proposal_id=proposal.id,
        decision=decision,
        reason=reason,
        signature=signature,
        cast_at=format_timestamp(agent.clock.now()),
    )
    try:
        agent.state.cast_vote(vote)
    except sqlite3.IntegrityError as error:
        return _standing(agent, vote, error)
    return vote


def _standing(agent: Agent, vote: Vote, error: sqlite3.IntegrityError) -> Vote:
    standing = agent.state.vote_on(vote.block_hash)
    if standing is not None and standing.decision == vote.decision:
        return standing
    if standing is not None:
        raise VoteConflict(
            f"this agent decided to {standing.decision} block {vote.block_hash[:16]} before ({standing.reason})"
        ) from error
    earlier = agent.state.approval_at(vote.height)
    raise VoteConflict(
        f"this agent approved block {earlier.block_hash[:16] if earlier else '?'} at height {vote.height} before",
        expected="one approved block at a height",
        action="If you know that the earlier block was not sealed anywhere: `flxdr-agent approve ID --replace-vote`.",
    ) from error


def send(agent: Agent, vote: Vote) -> dict[str, Any] | None:
    """Tell the coordinator a decision that stands in the vote book.

    Returns:
        Its answer, in which a proposal that others have sealed meanwhile shows the approval as a late one; None if the
        proposal takes no answer any more (the decision stays in the book all the same).

    Raises:
        Unreachable, Refused: not delivered; it stays to be sent.
    """
    body = {"key_id": agent.key.public.key_id, "signature": dsse.encode_base64(vote.signature)}
    if vote.decision == "reject":
        body["reason"] = vote.reason
    answer = None
    try:
        answer = agent.coordinator.post(f"blockchain/proposals/{vote.proposal_id}/{vote.decision}", body)
    except Refused as refusal:
        if refusal.problem_code not in _ENDED:
            raise
    agent.state.mark_sent(vote.block_hash)
    return answer


def free_height(agent: Agent, proposal: Proposal, chain: ChainState) -> str | None:
    """Whether this agent may approve `proposal` as far as its earlier approvals go.

    An earlier approval at the same height is void once more voters have signed rejections of its block than the quorum
    can spare: they never approve it any more, so nobody can seal it.

    Returns:
        None if it may; else why not.
    """
    earlier = agent.state.approval_at(chain.height + 1)
    if earlier is None or earlier.block_hash == proposal.block_hash:
        return None
    if _is_provably_lost(agent, earlier, chain):
        agent.state.void_vote(earlier.block_hash, "rejected by so many voters that no quorum is left")
        return None
    return (
        f"this agent approved block {earlier.block_hash[:16]} at this height before, and nothing proves that it was "
        "not sealed; compare with the other members, then use `approve --replace-vote`"
    )


def renounce_ended(agent: Agent, chain: ChainState) -> int:
    """Sign rejections of the ended proposals for the next height that this agent never answered.

    A proposal that expired may still bind members who approved it. With the rejections of those who did not, they can
    prove to themselves that it is lost, and vote again (`free_height`).

    Returns:
        How many were renounced.
    """
    renounced = 0
    for document in list_proposals(agent, only_open=False):
        if document.get("status") not in _LAPSED or not isinstance(document.get("header"), str):
            continue
        ended = read_proposal(document)
        governance = ended.parsed().governance
        is_next = ended.parsed_height() == chain.height + 1
        if is_next and agent.org_id in governance.voters and agent.state.vote_on(ended.block_hash) is None:
            send(agent, cast(agent, ended, "reject", f"{ended.status} before this organisation had decided"))
            renounced += 1
    return renounced


def replace_vote(agent: Agent, proposal: Proposal, chain: ChainState) -> None:
    """Let go of the approval of another block than `proposal` at the next height, on a person's word."""
    earlier = agent.state.approval_at(chain.height + 1)
    if earlier is not None and earlier.block_hash != proposal.block_hash:
        agent.state.void_vote(earlier.block_hash, "replaced by hand")


def _is_provably_lost(agent: Agent, earlier: Vote, chain: ChainState) -> bool:
    try:
        ended = fetch_proposal(agent, earlier.proposal_id)
        if ended.block_hash != earlier.block_hash:
            return False
        governance = ended.parsed().governance
    except (Refused, CheckFailed):
        return False
    rejecting = {str(item.get("org_id")) for item in ended.rejections if _is_genuine(item, ended, chain)}
    return SealRule(governance.rule, governance.voters, governance.threshold).is_lost(rejecting)


def _is_genuine(item: Any, ended: Proposal, chain: ChainState) -> bool:
    org_id, key_id = str(item.get("org_id")), str(item.get("key_id"))
    key = chain.keys.key(org_id, key_id)
    if key is None:
        return False
    try:
        statement = rejection_statement(block_hash=ended.block_hash, org_id=org_id, reason=str(item.get("reason")))
        signature = dsse.decode_base64(str(item.get("signature")), "signature")
        dsse.verify(key, signature, dsse.REJECTION_TYPE, statement)
    except FlxdrError:
        return False
    return True
