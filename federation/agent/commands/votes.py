"""`proposals`, `approve`, `reject`: what waits for this organisation's vote."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from federation.agent import chain, voting, witness
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened
from federation.agent.errors import CheckFailed
from federation.agent.output import table
from federation.agent.proposals import Proposal, about, fetch_proposal, list_proposals
from federation.agent.records import RecordSource
from federation.agent.review import Review, review
from federation.agent.session import Agent
from federation.agent.state_rows import Decision, Vote
from ledger.chain.entries import COORDINATOR
from ledger.chain.state import ChainState

_Id = Annotated[int, typer.Argument(metavar="ID", help="The proposal's number.")]


def proposals(
    context: typer.Context,
    *,
    every: Annotated[bool, typer.Option("--all", help="Ended ones, too.")] = False,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """List proposed blocks and this agent's votes on them."""
    with opened(context, home, machine) as agent:
        documents = [
            {**document, "about": _about(document), "own_vote": _own_vote(agent, document)}
            for document in list_proposals(agent, only_open=not every)
        ]
        rows = [
            (
                item.get("id"),
                item.get("type"),
                item["about"],
                item.get("status"),
                f"{_organisations(item)} of {item.get('threshold')}",
                item.get("deadline") or "-",
                item["own_vote"] or "-",
            )
            for item in documents
        ]
        columns = ("id", "type", "about", "status", "approvals", "deadline", "own vote")
        agent.output.result({"proposals": documents}, table("", columns, rows) if rows else "No proposals.")


def approve(
    context: typer.Context,
    *,
    proposal_id: _Id,
    replace_vote: Annotated[
        bool,
        typer.Option(
            "--replace-vote",
            help="Let go of this agent's approval of another block at the same height. Only if you know, from other "
            "members, that it was not sealed anywhere.",
        ),
    ] = False,
    block: Annotated[str | None, typer.Option("--block", help="Hash of the block that is meant.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Check a proposed block and approve it. What does not pass the checks is not signed.

    On a terminal the command shows what the block's bytes say, and asks. A program names the block that it means with
    --block, so that no other one can take its place under the same number.
    """
    with opened(context, home, machine) as agent:
        state = chain.follow(agent)
        witness.attend(agent, state)
        proposal = fetch_proposal(agent, proposal_id)
        if block not in (None, proposal.block_hash):
            raise CheckFailed(f"proposal {proposal_id} is block {proposal.block_hash}", expected=block)
        found = Review("approve", "it stands in the vote book", [])
        if agent.state.vote_on(proposal.block_hash) is None:
            found = _checked(agent, proposal, state)
            if not yes and not machine and is_terminal():
                _ask(agent, proposal, found)
                found = Review(found.outcome, found.reason, [])
            if replace_vote:
                voting.replace_vote(agent, proposal, state)
            bound = voting.free_height(agent, proposal, state)
            if bound is not None:
                raise voting.VoteConflict(bound)
        _vote(agent, proposal, "approve", found)


def is_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(agent: Agent, proposal: Proposal, found: Review) -> None:
    for step in found.steps:
        agent.output.event("step", step)
    if not typer.confirm(f"Sign block {proposal.block_hash}?", err=True):
        raise typer.Exit(1)


def reject(
    context: typer.Context,
    *,
    proposal_id: _Id,
    reason: Annotated[str, typer.Option("--reason", help="Signed, and shown to everybody.")],
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Refuse a proposed block, with a signed reason."""
    with opened(context, home, machine) as agent:
        chain.follow(agent)
        _vote(agent, fetch_proposal(agent, proposal_id), "reject", Review("reject", reason, []))


def _checked(agent: Agent, proposal: Proposal, state: ChainState) -> Review:
    if not proposal.is_open:
        raise CheckFailed(f"proposal {proposal.id} is {proposal.status}", expected="an open proposal")
    records = RecordSource(agent.config.data, agent.home.folder, agent.key)
    found = review(agent, proposal, state, records)
    if found.outcome in {"reject", "skip"}:
        raise CheckFailed(
            f"proposal {proposal.id} is not approved: {found.reason}",
            action="`flxdr-agent reject` refuses it with a reason." if found.outcome == "reject" else None,
            steps=found.steps,
        )
    return found


def _vote(agent: Agent, proposal: Proposal, decision: Decision, found: Review) -> None:
    vote = voting.cast(agent, proposal, decision, found.reason)
    answer = voting.send(agent, vote)
    status = "ended before the vote arrived" if answer is None else str(answer.get("status"))
    agent.output.result(
        {
            "proposal": proposal.id,
            "decision": vote.decision,
            "block_hash": vote.block_hash,
            "height": vote.height,
            "proposal_status": status,
            "steps": found.steps,
        },
        *found.steps,
        _sentence(vote, status),
    )


def _sentence(vote: Vote, status: str) -> str:
    return f"Proposal {vote.proposal_id} (block {vote.height}): {vote.decision}; now {status}"


def _organisations(document: Mapping[str, Any]) -> int:
    """How many organisations approved; the coordinator signs too and never counts."""
    return len(set(document.get("approvals") or ()) - {COORDINATOR})


def _about(document: Mapping[str, Any]) -> str:
    try:
        return about(document)
    except CheckFailed as error:
        return f"cannot be read: {error.detail}"


def _own_vote(agent: Agent, document: Mapping[str, Any]) -> str | None:
    vote = agent.state.vote_on(str(document.get("block_hash")))
    return None if vote is None else vote.decision
