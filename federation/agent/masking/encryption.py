"""A Paillier round's key as this organisation makes it, is given it, and opens the sums with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federation import statements
from federation.agent.errors import CheckFailed
from federation.agent.masking.book import JoinedRound
from federation.agent.masking.signed import refusing, signed, statement_of
from federation.agent.session import Agent
from federation.masking import ciphertexts
from federation.masking.roster import Roster
from federation.masking.round_key import RoundKey
from federation.masking.steps import Step
from federation.round_config import RoundConfig
from flxdr.core import canonical, dsse
from models_ml.codec import ModelSchema
from privacy.paillier import decryption, encryption, roundkey
from privacy.paillier.keys import PrivateKey, PublicKey
from privacy.paillier.layout import Layout
from privacy.secagg.derivation import agree
from privacy.secagg.secrets import Secrets

MADE = "round_key"


def made_key(agent: Agent, roster: Roster, joined: JoinedRound) -> dict[str, str] | None:
    """The key that this organisation makes for the round, signed and wrapped; None if others make it.

    Made once and kept: after a crash the same statement is sent again.
    """
    config, book = roster.config, agent.state.masking
    if agent.org_id not in ciphertexts.makers(roster):
        return None
    statement = book.told(config.round_id, MADE)
    if statement is None:
        private = PrivateKey.generate(config.modulus_bits)
        book.hold_key(config.round_id, private.to_bytes())
        secrets = Secrets.from_seed(joined.seed)
        statement = statements.round_key(
            round_id=config.round_id,
            roster_hash=roster.digest.hex(),
            org=agent.org_id,
            public=private.public.to_bytes(),
            wrapped={
                holder: roundkey.wrap(
                    private.to_bytes(), _shared(secrets, roster, holder), roster.digest, agent.org_id, holder
                )
                for holder in ciphertexts.holders(roster)
                if holder != agent.org_id
            },
        )
        book.tell(config.round_id, MADE, statement)
    return signed(agent, statement, dsse.ROUND_KEY_TYPE)


def taken_key(
    agent: Agent, roster: Roster, joined: JoinedRound, sharers: frozenset[str], entry: object
) -> tuple[bytes, PublicKey]:
    """The key under which updates are encrypted, from its maker's signed statement; a holder keeps the private one.

    Returns:
        The statement, and the public key.

    Raises:
        CheckFailed: the statement is not of the organisation whose key counts, not of this round, or its private key
            is not that of the public one.
    """
    config = roster.config
    with refusing():
        maker = ciphertexts.maker(roster, sharers)
        org_id, statement = statement_of(agent, entry, dsse.ROUND_KEY_TYPE)
        said = RoundKey.parse(statement)
        if {org_id, said.org} != {maker} or (said.round_id, said.roster_hash) != (
            config.round_id,
            roster.digest.hex(),
        ):
            raise CheckFailed(f"the round key is of {org_id}, or of another round", expected=f"that of {maker}")
        public = ciphertexts.public_key(said.public_bytes, config.modulus_bits)
        if agent.org_id in ciphertexts.holders(roster) and agent.org_id != maker:
            wrapped = dsse.decode_base64(said.wrapped.get(agent.org_id, ""), "the wrapped key")
            shared = _shared(Secrets.from_seed(joined.seed), roster, maker)
            private = PrivateKey.from_bytes(
                roundkey.unwrap(wrapped, shared, roster.digest, maker, agent.org_id), config.modulus_bits
            )
            if private.public.n != public.n:
                raise CheckFailed(f"{maker} wrapped another key than it announced")
            agent.state.masking.hold_key(config.round_id, private.to_bytes())
    return statement, public


def arrangement_of(config: RoundConfig) -> Layout:
    """Where the values of the round's updates lie."""
    return ciphertexts.layout(config, ModelSchema.of(dict(config.model_schema or ())).size)


def open_sums(agent: Agent, config: RoundConfig) -> bytes:
    """The openings of the round's sums, which are fetched; this agent opens one set of sums a round.

    What it learns is what everybody learns: a sum. An update alone, should the coordinator pass one off as a sum, is
    still masked.

    Raises:
        CheckFailed: this home holds no key, or the sums are none.
    """
    held = agent.state.masking.private_key(config.round_id)
    if held is None:
        raise CheckFailed(f"this home holds no key of {config.round_id}")
    arrangement = arrangement_of(config)
    limit = arrangement.body_bytes * max(1, len(config.participants) // 3)
    sums = agent.coordinator.get_bytes(f"federation/round/{config.round_id}/sums", limit=limit)
    if not sums or len(sums) % arrangement.body_bytes:
        raise CheckFailed(f"{len(sums)} bytes of sums", expected=f"a multiple of {arrangement.body_bytes}")
    agent.state.masking.tell(config.round_id, Step.OPEN, canonical.digest(sums).encode())
    private = PrivateKey.from_bytes(held, config.modulus_bits)
    with refusing():
        parsed = encryption.parse(private.public, sums, len(sums) // arrangement.ciphertext_bytes)
        return decryption.open_all(private, parsed).to_bytes(private.public)


def key_of(told: Mapping[str, Any], config: RoundConfig) -> PublicKey:
    """The public key that `taken_key` found, as it was remembered."""
    statement = dsse.decode_base64(told["round_key"], "round_key")
    return ciphertexts.public_key(RoundKey.parse(statement).public_bytes, config.modulus_bits)


def _shared(secrets: Secrets, roster: Roster, peer: str) -> bytes:
    return agree(secrets.share_private, roster.advertisements[peer].party().share_key)
