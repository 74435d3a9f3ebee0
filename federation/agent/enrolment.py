"""Enrolment: register with proof of possession, and pin the chain's genesis."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal

from federation import statements
from federation.agent.errors import CheckFailed, HomeInvalid, Refused, UsageInvalid
from federation.agent.session import Agent
from flxdr.core import dsse

_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Enrolment:
    """What became of a registration."""

    org_id: str
    status: str
    key_id: str
    genesis: str
    trust: Literal["given", "first-use", "pinned-before"]


def enrol(agent: Agent, *, genesis: str | None, enrolment_token: str | None) -> Enrolment:
    """Register this organisation and pin its chain. Enrolling again with the same key and name changes nothing.

    The genesis hash is what the registration is bound to, and what every block is later checked against. Given as
    `genesis` (learned from another member, say) nobody has to be trusted; otherwise the coordinator's word is taken
    once.

    Raises:
        UsageInvalid: the coordinator does not tell its genesis to strangers and none was given, or it has another form.
        CheckFailed: the coordinator's chain is not the one that was given or pinned.
        Refused: the coordinator refused the registration.
    """
    agent.coordinator.check_protocol()
    chain_id, trust = _genesis(agent, genesis)
    statement = statements.registration(
        org_id=agent.org_id, org_name=agent.config.name, key_id=agent.key.public.key_id, chain_id=chain_id
    )
    proof = dsse.sign(agent.key, dsse.REGISTRATION_TYPE, statement)
    body = {
        "org_id": agent.org_id,
        "org_name": agent.config.name,
        "data_sources": {"soc_logs": f"flow records, format {agent.config.data.format}"},
        "crypto_pubkey": agent.key.public.to_base64(),
        "key_proof": base64.b64encode(proof).decode(),
    }
    if enrolment_token is not None:
        body["enrolment_token"] = enrolment_token
    answer = agent.coordinator.post("federation/register", body, anonymous=True)
    if answer.get("org_id") != agent.org_id:
        raise CheckFailed(f"the coordinator registered {answer.get('org_id')!r}", expected=agent.org_id)
    agent.state.set_pin("chain_id", chain_id)
    return Enrolment(agent.org_id, str(answer.get("status")), agent.key.public.key_id, chain_id, trust)


def _genesis(agent: Agent, given: str | None) -> tuple[str, Literal["given", "first-use", "pinned-before"]]:
    if given is not None and not _HASH.match(given):
        raise UsageInvalid("--genesis has another form", expected="64 lower-case hex digits")
    pinned = agent.state.pin("chain_id")
    if pinned is not None and given is not None and pinned != given:
        raise HomeInvalid(f"genesis is pinned to {pinned}, not {given}", action="Another chain needs another home.")
    known = given or pinned
    told = _told_genesis(agent)
    if known is None:
        if told is None:
            raise UsageInvalid(
                "the coordinator does not tell its genesis to an organisation that is not enrolled",
                action="Ask a member or the operator for the genesis hash and pass it with --genesis.",
            )
        return told, "first-use"
    if told is not None and told != known:
        raise CheckFailed(
            f"the coordinator's chain begins with {told}", expected=f"genesis {known}", action="Check the address."
        )
    return known, "pinned-before" if pinned is not None else "given"


def _told_genesis(agent: Agent) -> str | None:
    """What the coordinator names as its genesis; None where it asks for a token first."""
    try:
        told = agent.coordinator.get("blockchain/head", anonymous=True).get("chain_id")
    except Refused as refusal:
        if refusal.http_status in {401, 403}:
            return None
        raise
    if not isinstance(told, str) or not _HASH.match(told):
        raise CheckFailed("the coordinator's answer names no genesis hash")
    return told
