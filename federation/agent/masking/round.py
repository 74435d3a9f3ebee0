"""One masked round as this organisation goes through it, a step at a time.

Whatever the coordinator says is checked against the keys on the verified chain, remembered, and never contradicted by
a later answer. All secrets come from one seed that is kept until the sum is unmasked, so that after a crash the same
bytes are sent again.
"""

from __future__ import annotations

import secrets as system
from collections.abc import Mapping
from typing import Any

import numpy as np

from federation import statements
from federation.agent import training
from federation.agent.errors import CheckFailed
from federation.agent.masking import encryption
from federation.agent.masking.book import JoinedRound
from federation.agent.masking.signed import refusing, signed, statements_of
from federation.agent.records import Records
from federation.agent.session import Agent
from federation.agent.state_rows import PreparedUpdate
from federation.masking import ciphertexts, scaling
from federation.masking.draw import commitment, nonce_of
from federation.masking.roster import Advertisement, Roster
from federation.masking.steps import Step
from federation.round_config import RoundConfig
from flxdr.core import canonical, dsse
from models_ml import codec
from models_ml.local_trainer import Progress
from privacy.dp.keystream import Keystream
from privacy.dp.noise import add_noise
from privacy.secagg import client, masks, ring
from privacy.secagg.derivation import derive
from privacy.secagg.group import Group
from privacy.secagg.secrets import Secrets
from privacy.secagg.shares import UnmaskShares

SEED_BYTES = 32


def join(agent: Agent, config: RoundConfig, records: Records, progress: Progress | None = None) -> None:
    """Train, and keep what was trained, with new secrets, until it is masked.

    Raises:
        CheckFailed: this home has left the round, or the parent or the basis is not what the verified chain says.
    """
    if agent.state.masking.has_left(config.round_id):
        raise CheckFailed(
            f"this home has left {config.round_id}", expected="a round that asks for its advertisement once"
        )
    update = training.train(agent, config, records, progress)
    seed = system.token_bytes(SEED_BYTES)
    secrets = Secrets.from_seed(seed)
    statement = statements.advertisement(
        config=config,
        org=agent.org_id,
        samples=update.samples,
        mask_key=secrets.mask_key,
        share_key=secrets.share_key,
        seed_commitment=secrets.seed_commitment,
        draw_commitment=commitment(nonce_of(seed)),
    )
    agent.state.masking.join(
        JoinedRound(
            config.round_id,
            config.model_name,
            statement,
            update.metrics,
            update.samples,
            seed,
            codec.encode(update.delta),
        )
    )


def advertise(agent: Agent, config: RoundConfig) -> None:
    """Offer the keys of the joined round to the others."""
    joined = _joined(agent, config)
    _post(agent, config, "advertise", signed(agent, joined.statement, dsse.ADVERTISEMENT_TYPE))


def reveal(agent: Agent, config: RoundConfig) -> None:
    """Open this organisation's number of a bucketed round, once everybody's commitment is known.

    Raises:
        CheckFailed: as `share`.
    """
    joined, _, listed = _advertised(agent, config)
    agent.state.masking.tell(config.round_id, Step.REVEAL, listed)
    _post(agent, config, "reveal", {"nonce": nonce_of(joined.seed).hex()})


def share(agent: Agent, config: RoundConfig) -> None:
    """Check the roster against the keys on the chain, and share the secrets within the group.

    Raises:
        CheckFailed: an advertisement that its organisation did not sign, this organisation's own is not among them, too
            few organisations, or others than those whose commitments were known when this organisation opened its own.
    """
    joined, answer, listed = _advertised(agent, config)
    if config.masking_buckets and agent.state.masking.told(config.round_id, Step.REVEAL) != listed:
        raise CheckFailed("the roster is not that of the organisations that committed to their numbers")
    nonces = answer.get("nonces")
    told = canonical.encode({"advertisements": canonical.decode(listed), "nonces": nonces})
    roster = _read_roster(config, told)
    if agent.org_id not in roster.statements or len(roster.statements) < config.min_orgs:
        raise CheckFailed(
            f"{', '.join(roster.statements)} opened their numbers",
            expected=f"{config.min_orgs} or more, and this organisation among them",
        )
    agent.state.masking.tell(config.round_id, Step.SHARES, told)
    sealed = client.seal_shares(Secrets.from_seed(joined.seed), agent.org_id, roster.group_of(agent.org_id))
    body: dict[str, Any] = {
        "roster_hash": roster.digest.hex(),
        "shares": {receiver: dsse.encode_base64(share) for receiver, share in sealed.items()},
    }
    if config.modulus_bits and (key := encryption.made_key(agent, roster, joined)) is not None:
        body["round_key"] = key
    _post(agent, config, "shares", body)


def mask(agent: Agent, config: RoundConfig) -> PreparedUpdate:
    """The masked update, signed and kept; one that is kept already is returned as it is.

    Raises:
        CheckFailed: too few of the group shared their secrets.
    """
    kept = agent.state.update_for(config.round_id)
    if kept is not None:
        return kept
    answer = agent.coordinator.get(f"federation/round/{config.round_id}/shares")
    joined, roster, group = _progress(agent, config)
    sharers, shares = _names(answer, "sharers"), answer.get("shares")
    peers = sharers & _members(group) - {agent.org_id}
    if not isinstance(shares, dict) or not peers <= shares.keys():
        raise CheckFailed("the coordinator keeps shares back", expected=f"shares of {', '.join(sorted(peers))}")
    told: dict[str, Any] = {"sharers": sorted(sharers), "shares": {peer: str(shares[peer]) for peer in sorted(peers)}}
    with refusing():
        client.open_shares(Secrets.from_seed(joined.seed), agent.org_id, group, _sealed(told))
    if config.modulus_bits:
        statement, _ = encryption.taken_key(agent, roster, joined, sharers, answer.get("round_key"))
        told["round_key"] = dsse.encode_base64(statement)
    with refusing():
        body = masked_body(joined, roster, agent.org_id, told)
    agent.state.masking.tell(config.round_id, Step.MASKED_INPUT, canonical.encode(told))
    return training.keep(
        agent, config, body, samples=joined.samples, metrics=joined.metrics, roster_hash=roster.digest.hex()
    )


def confirm(agent: Agent, config: RoundConfig) -> None:
    """Sign whose masked updates arrived, as this agent is told; it signs one set and no other.

    Raises:
        CheckFailed: they are no subset of those who shared, or too few, or without this organisation.
    """
    answer = agent.coordinator.get(f"federation/round/{config.round_id}/survivors")
    _, roster, group = _progress(agent, config)
    sharers, survivors = _sharers(agent, config), _names(answer, "survivors")
    own = survivors & _members(group)
    enough = len(own) >= group.threshold and len(survivors) >= config.min_orgs
    if not survivors <= sharers or agent.org_id not in own or not enough:
        raise CheckFailed(
            f"the coordinator goes on with {', '.join(sorted(survivors))}",
            expected=f"this organisation and at least {group.threshold - 1} others of its group that shared before, "
            f"and {config.min_orgs} in all",
        )
    statement = statements.survivors(
        round_id=config.round_id, roster_hash=roster.digest.hex(), sharers=sharers, survivors=survivors
    )
    agent.state.masking.tell(config.round_id, Step.CONSISTENCY, statement)
    _post(agent, config, "consistency", signed(agent, statement, dsse.SURVIVORS_TYPE))


def unmask(agent: Agent, config: RoundConfig) -> None:
    """Reveal what unmasks the sum, once enough of the group confirmed the same survivors; then forget the secrets.

    Raises:
        CheckFailed: too few valid confirmations, or a share of a peer that does not open.
    """
    statement = agent.state.masking.told(config.round_id, Step.CONSISTENCY)
    if statement is None:
        raise CheckFailed(f"this home has not confirmed the survivors of {config.round_id}")
    response = agent.state.masking.told(config.round_id, Step.UNMASK)
    if response is None:
        response = canonical.encode(_unmask_shares(agent, config, statement).as_json())
        agent.state.masking.tell(config.round_id, Step.UNMASK, response)
    _post(agent, config, "unmask", canonical.decode(response))
    agent.state.masking.forget(config.round_id)


def open_sums(agent: Agent, config: RoundConfig) -> None:
    """Open the encrypted sums of a Paillier round, for everybody to verify.

    Raises:
        CheckFailed: this home does not hold the key, or there are no sums.
    """
    body = encryption.open_sums(agent, config)
    headers = {"Content-Type": "application/octet-stream"}
    agent.coordinator.post_bytes(f"federation/round/{config.round_id}/openings", body, headers)


def masked_body(joined: JoinedRound, roster: Roster, org_id: str, told: Mapping[str, Any]) -> bytes:
    """The bytes that the coordinator gets of the update: weighted, rounded, masked, in Paillier rounds encrypted."""
    config, group = roster.config, roster.group_of(org_id)
    update = codec.flatten(codec.decode(joined.delta))
    values = scaling.weighted(update, roster.weights[org_id], config.frac_bits)
    sigma, bound = scaling.noise_sigma(config), scaling.bound(config)
    if sigma:
        stream = Keystream(derive(joined.seed, "noise"))  # the same again after a crash: one draw of noise, one release
        values = np.clip(add_noise(values, sigma, stream=stream), -bound, bound)
    sharers = frozenset(told["sharers"]) & _members(group)
    seeds = client.mask_seeds(Secrets.from_seed(joined.seed), org_id, group, sharers)
    if config.modulus_bits:
        public = encryption.key_of(told, config)
        return ciphertexts.encrypted(public, encryption.arrangement_of(config), values, seeds)
    vector = ring.to_ring(values, ring.word_bits(bound, config.n_max))
    masks.add(vector, seeds)
    return ring.to_bytes(vector)


def _unmask_shares(agent: Agent, config: RoundConfig, statement: bytes) -> UnmaskShares:
    answer = agent.coordinator.get(f"federation/round/{config.round_id}/consistency")
    joined, _, group = _progress(agent, config)
    confirmed = statements_of(agent, answer.get("confirmations"), dsse.SURVIVORS_TYPE)
    survivors = frozenset(canonical.decode(statement)["survivors"]) & _members(group)
    agreeing = {org_id for org_id, said in confirmed.items() if said == statement} & survivors
    if len(agreeing) < group.threshold:
        raise CheckFailed(
            f"{len(agreeing)} of the group confirm the same survivors", expected=f"at least {group.threshold}"
        )
    told = told_in(agent, config, Step.MASKED_INPUT)
    with refusing():
        return client.unmask(
            Secrets.from_seed(joined.seed),
            agent.org_id,
            group,
            _sealed(told),
            sharers=frozenset(told["sharers"]) & _members(group),
            survivors=survivors,
        )


def _joined(agent: Agent, config: RoundConfig) -> JoinedRound:
    joined = agent.state.masking.joined(config.round_id)
    if joined is None:
        raise CheckFailed(
            f"this home has not joined {config.round_id}, or has left it",
            expected="the home that advertised",
            action="The round goes on without this organisation.",
        )
    return joined


def trained_roster(agent: Agent, config: RoundConfig) -> Roster:
    """The roster of a round as this agent checked it."""
    return _read_roster(config, _told(agent, config, Step.SHARES))


def told_in(agent: Agent, config: RoundConfig, step: Step) -> dict[str, Any]:
    """What this agent was told at a step, as it remembered it."""
    told: dict[str, Any] = canonical.decode(_told(agent, config, step))
    return told


def _progress(agent: Agent, config: RoundConfig) -> tuple[JoinedRound, Roster, Group]:
    """The round that was joined, its roster as it was checked, and the own group."""
    roster = trained_roster(agent, config)
    return _joined(agent, config), roster, roster.group_of(agent.org_id)


def _told(agent: Agent, config: RoundConfig, step: Step) -> bytes:
    told = agent.state.masking.told(config.round_id, step)
    if told is None:
        raise CheckFailed(f"this home did not take part in the step {step} of {config.round_id}")
    return told


def _sealed(told: Mapping[str, Any]) -> dict[str, bytes]:
    return {sender: dsse.decode_base64(share, f"the share of {sender}") for sender, share in told["shares"].items()}


def _sharers(agent: Agent, config: RoundConfig) -> frozenset[str]:
    return frozenset(told_in(agent, config, Step.MASKED_INPUT)["sharers"])


def _members(group: Group) -> frozenset[str]:
    return frozenset(party.org_id for party in group.parties)


def _advertised(agent: Agent, config: RoundConfig) -> tuple[JoinedRound, Mapping[str, Any], bytes]:
    """The round that was joined, the coordinator's answer, and the advertisements that it lists, as canonical bytes."""
    answer = agent.coordinator.get(f"federation/round/{config.round_id}/roster")
    said = statements_of(agent, answer.get("advertisements"), dsse.ADVERTISEMENT_TYPE)
    joined = _joined(agent, config)
    with refusing():
        misnamed = any(Advertisement.parse(statement).org != org_id for org_id, statement in said.items())
    if said.get(agent.org_id) != joined.statement or misnamed or len(said) < config.min_orgs:
        raise CheckFailed(
            f"the roster lists {', '.join(sorted(said))}",
            expected=f"{config.min_orgs} or more, each under its own name, with this organisation's own advertisement",
        )
    return joined, answer, canonical.encode([dsse.encode_base64(statement) for _, statement in sorted(said.items())])


def _read_roster(config: RoundConfig, told: bytes) -> Roster:
    with refusing():
        document = canonical.decode(told)
        advertisements = [dsse.decode_base64(text, "advertisement") for text in document["advertisements"]]
        roster = Roster.of(config, advertisements, _numbers(document["nonces"]))
        list(roster.groups)
    return roster


def _numbers(nonces: object) -> dict[str, bytes]:
    if not isinstance(nonces, dict):
        raise CheckFailed("the coordinator's answer holds no numbers", expected="an object")
    try:
        return {org_id: bytes.fromhex(nonce) for org_id, nonce in nonces.items()}
    except (TypeError, ValueError) as error:
        raise CheckFailed("a number of the roster is not hexadecimal") from error


def _names(answer: Mapping[str, Any], name: str) -> frozenset[str]:
    names = answer.get(name)
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise CheckFailed(f"the coordinator's answer holds no {name}", expected="a list of organisations")
    return frozenset(names)


def _post(agent: Agent, config: RoundConfig, message: str, body: Mapping[str, Any]) -> None:
    agent.coordinator.post(f"federation/round/{config.round_id}/{message}", body)
