"""Replacing this organisation's key: the next key is kept first, proposed then, and used once the chain records it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from federation.agent import chain
from federation.agent.errors import CheckFailed, Refused
from flxdr.core import dsse
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.entries import RotationStatement, encode_statement

if TYPE_CHECKING:  # a session's client catches up by this module
    from federation.agent.session import Agent

PATH = "blockchain/governance/rotate"


def propose(agent: Agent, algorithm: Algorithm | None) -> tuple[PrivateKey, dict[str, Any]]:
    """Propose that a new key takes the place of this organisation's. Repeating it proposes the same key.

    Args:
        algorithm: of the new key; None for that of the present one.

    Returns:
        The next key, and the coordinator's proposal.

    Raises:
        HomeInvalid: a rotation to a key of another algorithm is under way.
        CheckFailed: this home's key is not on the verified chain.
        Refused, Unreachable: not proposed; the next key stays in the home.
    """
    state = chain.follow(agent)
    old = agent.key
    if state.keys.key(agent.org_id, old.public.key_id) is None:
        raise CheckFailed(
            f"key {old.public.key_id} is not on the chain",
            expected=f"a key in force of {agent.org_id}",
            action="Wait for its admission; an organisation whose last key was revoked enrols anew, in a new home.",
        )
    new = agent.home.make_next_key(algorithm)
    statement = encode_statement(
        RotationStatement(
            v=1,
            org_id=agent.org_id,
            key_id=new.public.key_id,
            retires=old.public.key_id,
            chain_id=agent.chain_id,
        )
    )

    def signed(key: PrivateKey) -> str:
        return dsse.encode_base64(dsse.sign(key, dsse.ROTATION_TYPE, statement))

    body = {
        "public_key": new.public.to_base64(),
        "statement": dsse.encode_base64(statement),
        "proof": signed(new),
        "endorsement": {"key_id": old.public.key_id, "signature": signed(old)},
    }
    return new, agent.coordinator.post(PATH, body)


def catch_up(agent: Agent) -> bool:
    """Find out why the coordinator does not know this organisation's tokens: its rotation may be sealed.

    From the rotation's block on the coordinator takes the new key's tokens only. They are used to fetch that block,
    and nothing else is signed with the new key before the block was verified.

    Returns:
        Whether the agent has another key now.
    """
    keyring, before = agent.keyring, agent.key
    untried = keyring.untried()
    if untried is None:
        return False
    keyring.for_tokens = untried
    try:
        chain.follow(agent)
    except Refused:
        return False
    finally:
        keyring.for_tokens = keyring.current
    return agent.key is not before
