"""`keys list`, `rotate`, `revoke`: this organisation's keys on the chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from federation.agent import chain, entry_review, rotation, voting
from federation.agent.commands.options import DEFAULT_HOME, Home, Json, opened
from federation.agent.errors import CheckFailed
from federation.agent.output import table
from federation.agent.proposals import read_proposal
from federation.agent.records import RecordSource
from federation.agent.review import review
from federation.agent.session import Agent
from flxdr.core.keys import Algorithm

app = typer.Typer(help="List, rotate and revoke this organisation's keys.", no_args_is_help=True)


@app.command("list")
def list_keys(context: typer.Context, *, home: Home = DEFAULT_HOME, machine: Json = False) -> None:
    """Every key of this organisation, in this home and on the verified chain."""
    with opened(context, home, machine) as agent:
        state = chain.follow(agent)
        following = agent.home.next_key()
        on_chain = state.keys.keys_of(agent.org_id)
        known = {key.key_id: key for key in (*on_chain.values(), agent.key.public)}
        if following is not None:
            known[following.public.key_id] = following.public
        here = {agent.key.public.key_id: "in use"} | ({following.public.key_id: "next"} if following else {})
        keys = [
            {
                "key_id": key_id,
                "algorithm": key.algorithm.value,
                "home": here.get(key_id),
                "chain": "in force"
                if key_id in on_chain
                else "retired"
                if key_id in state.keys.retired
                else "not on the chain",
            }
            for key_id, key in known.items()
        ]
        rows = [(key["key_id"], key["algorithm"], key["home"] or "another home", key["chain"]) for key in keys]
        agent.output.result({"keys": keys}, table("", ("key id", "algorithm", "this home", "chain"), rows))


@app.command("rotate")
def rotate(
    context: typer.Context,
    *,
    algorithm: Annotated[
        Algorithm | None, typer.Option("--algorithm", help="Of the new key.", show_default="that of the present one")
    ] = None,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Propose a new key in the place of this one. The agent switches by itself once the members have approved.

    Both keys stay in the home until then; back up next-key.json. Asking again, after an expired proposal or a crash,
    proposes the same key again.
    """
    with opened(context, home, machine) as agent:
        old = agent.key
        new, proposal = rotation.propose(agent, algorithm)
        status = _vote(agent, proposal)
        chain.follow(agent)
        switched = agent.key is not old
        agent.output.result(
            {
                "proposal": proposal.get("id"),
                "status": status,
                "key_id": old.public.key_id,
                "next_key_id": new.public.key_id,
                "algorithm": new.algorithm.value,
                "switched": switched,
            },
            f"Key {new.public.key_id} ({new.algorithm.value}) is to take the place of {old.public.key_id}",
            f"Proposal {proposal.get('id')}: {status}",
            "This home uses the new key." if switched else "Other members that pin keys need the new key id.",
        )


@app.command("revoke")
def revoke(
    context: typer.Context,
    *,
    reason: Annotated[str, typer.Option("--reason", help="On the chain for everybody to read.")],
    compromised_since: Annotated[
        int | None,
        typer.Option("--compromised-since", min=0, help="Height from which on the key's signatures are in doubt."),
    ] = None,
    key_id: Annotated[str | None, typer.Option("--key-id", help="Which key.", show_default="this home's")] = None,
    home: Home = DEFAULT_HOME,
    machine: Json = False,
) -> None:
    """Propose the end of a key of this organisation. The other members decide; nothing is undone after that.

    With its last key the organisation stops being a member, and may enrol anew with a new home.
    """
    with opened(context, home, machine) as agent:
        state = chain.follow(agent)
        chosen = key_id or agent.key.public.key_id
        if chosen not in state.keys.keys_of(agent.org_id):
            raise CheckFailed(f"key {chosen} is not in force", expected=f"a key of {agent.org_id} on the chain")
        entry_review.note_asked(agent, chosen)
        body = {"org_id": agent.org_id, "key_id": chosen, "compromised_since": compromised_since, "reason": reason}
        proposal = agent.coordinator.post("blockchain/governance/revoke", body)
        status = _vote(agent, proposal)
        agent.output.result(
            {"proposal": proposal.get("id"), "status": status, "key_id": chosen},
            f"Proposal {proposal.get('id')} to revoke {chosen}: {status}",
            "The other members decide." if status == "open" else "",
        )


def _vote(agent: Agent, document: Mapping[str, Any]) -> str:
    """Vote for one's own proposal if it is open and this organisation has a vote; the proposal's status then."""
    status = str(document.get("status"))
    if status != "open":
        return status
    proposal, state = read_proposal(document), chain.follow(agent)
    found = review(agent, proposal, state, RecordSource(agent.config.data, agent.home.folder, agent.key))
    if found.outcome != "approve" or voting.free_height(agent, proposal, state) is not None:
        return status
    answer = voting.send(agent, voting.cast(agent, proposal, "approve", found.reason))
    return status if answer is None else str(answer.get("status"))
