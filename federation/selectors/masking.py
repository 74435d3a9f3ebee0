"""Masked rounds: how far their collection is, and what each step gives the organisations to read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from federation.errors import NotAParticipant, StepClosed
from federation.masking import ciphertexts
from federation.masking.roster import Roster
from federation.masking.round_key import RoundKey
from federation.masking.steps import Step, steps_of
from federation.models import TrainingRound
from federation.round_config import RoundConfig
from federation.selectors.rounds import round_by_id
from flxdr.core import canonical
from flxdr.core.dsse import decode_base64, encode_base64
from privacy.paillier.keys import PublicKey
from privacy.secagg.group import Group


@dataclass(frozen=True)
class Collection:
    """A masked collection as its rows tell it.

    Attributes:
        answers: by step, the organisations that answered it.
    """

    training_round: TrainingRound
    answers: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, training_round: TrainingRound) -> Collection:
        found: defaultdict[str, set[str]] = defaultdict(set)
        messages = training_round.masking_messages.values_list("step", "organization__org_id")
        for step, org_id in messages:
            found[step].add(org_id)
        submitted = training_round.submissions.values_list("organization__org_id", flat=True)
        found[Step.MASKED_INPUT] = set(submitted)
        return cls(training_round, {step: frozenset(names) for step, names in found.items()})

    @property
    def step(self) -> Step:
        return Step(self.training_round.step)

    @cached_property
    def config(self) -> RoundConfig:
        return RoundConfig.decode(bytes(self.training_round.config))

    @cached_property
    def roster(self) -> Roster:
        """Of those who advertised, and in a bucketed round opened their number; final when shares are asked for."""
        statements = self.messages(Step.ADVERTISE, self._answered(Step.ADVERTISE))
        revealed = self.messages(Step.REVEAL, self._answered(Step.REVEAL))
        nonces = {org_id: bytes.fromhex(canonical.decode(document)["nonce"]) for org_id, document in revealed.items()}
        return Roster.of(self.config, statements.values(), nonces)

    def remaining(self, step: Step) -> frozenset[str]:
        """Those that the round counts on after `step`: they, and enough of their group, answered all steps so far."""
        if step == Step.ADVERTISE:
            return self._answered(step)
        if step == Step.REVEAL:
            return self._answered(Step.ADVERTISE) & self._answered(step)
        return frozenset().union(*(self.members(group, step) for group in self.groups(step)))

    def groups(self, step: Step) -> Sequence[Group]:
        """The groups that still have enough members after `step`; one that has not is lost with its updates."""
        return [group for group in self.roster.groups if self.members(group, step)]

    def members(self, group: Group, step: Step) -> frozenset[str]:
        """Those of the group that answered every step up to `step`; none if at some step they were too few."""
        left = frozenset(party.org_id for party in group.parties)
        for past in steps_of(self.config):
            left &= self._answered(past)
            if len(left) < group.threshold:
                return frozenset()
            if past == step:
                break
        return left

    def expected(self, step: Step) -> frozenset[str]:
        """Those whom `step` asks."""
        if step == Step.ADVERTISE:
            return frozenset(self.config.participants)
        if step == Step.OPEN:
            return self.remaining(Step.UNMASK) & frozenset(ciphertexts.holders(self.roster))
        steps = steps_of(self.config)
        return self.remaining(steps[steps.index(step) - 1])

    def awaited(self) -> frozenset[str]:
        """Those who have not answered the present step yet."""
        if self.training_round.opening_digest:
            return frozenset()
        return self.expected(self.step) - self._answered(self.step)

    def messages(self, step: Step, org_ids: frozenset[str]) -> dict[str, bytes]:
        """The documents that these organisations sent for a step, by organisation."""
        rows = self.training_round.masking_messages.filter(step=step, organization__org_id__in=org_ids)
        return {org_id: bytes(document) for org_id, document in rows.values_list("organization__org_id", "document")}

    def round_key(self) -> Mapping[str, str]:
        """The signed statement of the organisation whose Paillier key counts, as it was sent.

        Raises:
            RosterInvalid: no organisation that makes keys shared one.
        """
        maker = ciphertexts.maker(self.roster, self.remaining(Step.SHARES))
        document = self.messages(Step.SHARES, frozenset([maker]))[maker]
        return {"org_id": maker, **canonical.decode(document)["round_key"]}

    def public_key(self) -> PublicKey:
        """The Paillier key under which the round's updates are encrypted.

        Raises:
            RosterInvalid: as `round_key`.
        """
        statement = decode_base64(self.round_key()["statement"], "statement")
        return ciphertexts.public_key(RoundKey.parse(statement).public_bytes, self.config.modulus_bits)

    def _answered(self, step: Step) -> frozenset[str]:
        return self.answers.get(step, frozenset())


def roster_document(round_id: str, org_id: str) -> dict[str, Any]:
    """The signed advertisements of all who joined, and in a bucketed round the numbers of those who opened theirs.

    Numbers are shown when all of them are there: nobody opens its own with the others' in view.
    """
    collection = _read(round_id, org_id, Step.ADVERTISE)
    is_final = collection.step != Step.REVEAL
    return {
        "round_id": round_id,
        "roster_hash": collection.roster.digest.hex() if is_final else None,
        "advertisements": _signed(collection.training_round, Step.ADVERTISE, collection.remaining(Step.ADVERTISE)),
        "nonces": {org_id: nonce.hex() for org_id, nonce in collection.roster.nonces.items()} if is_final else {},
    }


def shares_document(round_id: str, org_id: str) -> dict[str, Any]:
    """Who shared its secrets, and the sealed shares for the asking organisation."""
    collection = _read(round_id, org_id, Step.SHARES)
    sharers = collection.remaining(Step.SHARES)
    documents = collection.messages(Step.SHARES, sharers - {org_id})
    sealed = {sender: canonical.decode(document)["shares"] for sender, document in documents.items()}
    return {
        "round_id": round_id,
        "sharers": sorted(sharers),
        "shares": {sender: shares[org_id] for sender, shares in sorted(sealed.items()) if org_id in shares},
        "round_key": collection.round_key() if collection.config.modulus_bits else None,
    }


def survivors_document(round_id: str, org_id: str) -> dict[str, Any]:
    """Whose masked updates the round goes on with."""
    collection = _read(round_id, org_id, Step.MASKED_INPUT)
    return {"round_id": round_id, "survivors": sorted(collection.remaining(Step.MASKED_INPUT))}


def consistency_document(round_id: str, org_id: str) -> dict[str, Any]:
    """The signatures by which the survivors confirm that all of them were told the same."""
    collection = _read(round_id, org_id, Step.CONSISTENCY)
    confirmed = collection.remaining(Step.CONSISTENCY)
    return {
        "round_id": round_id,
        "confirmations": _signed(collection.training_round, Step.CONSISTENCY, confirmed),
    }


def opened_file(round_id: str, org_id: str, *, openings: bool) -> str:
    """The digest of the file with a Paillier round's encrypted sums, or with their openings.

    Raises:
        RoundMissing, NotAParticipant, StepClosed: there is none yet.
    """
    training_round = _participated(round_id, org_id)
    digest = training_round.opening_digest if openings else training_round.sum_digest
    if not digest:
        raise StepClosed(
            f"{round_id} has no {'openings' if openings else 'encrypted sums'}", expected="a Paillier round that has"
        )
    return digest


def is_awaited(training_round: TrainingRound, org_id: str, *, now: datetime) -> bool:
    """Whether the present step of a masked round waits for the organisation.

    Those who can open a Paillier round's sums are asked one after the other, each for its part of the step's time.
    """
    if _has_answered(training_round, org_id):  # asked again and again by those who wait for the others
        return False
    collection = Collection.of(training_round)
    awaited = collection.awaited()
    if training_round.step != Step.OPEN or org_id not in awaited:
        return org_id in awaited
    order = [holder for holder in ciphertexts.holders(collection.roster) if holder in awaited]
    seconds = collection.config.step_seconds
    begun = training_round.deadline - timedelta(seconds=seconds)
    return (now - begun).total_seconds() >= order.index(org_id) * seconds / len(order)


def _has_answered(training_round: TrainingRound, org_id: str) -> bool:
    if training_round.step == Step.MASKED_INPUT:
        return training_round.submissions.filter(organization__org_id=org_id).exists()
    return training_round.masking_messages.filter(step=training_round.step, organization__org_id=org_id).exists()


def _read(round_id: str, org_id: str, after: Step) -> Collection:
    """The collection of a round of which the organisation is a participant, and which is past the step `after`.

    Raises:
        RoundMissing, NotAParticipant, StepClosed
    """
    training_round = _participated(round_id, org_id)
    steps = [step.value for step in Step]
    if training_round.step not in steps[steps.index(after) + 1 :]:
        raise StepClosed(
            f"{round_id} is {training_round.status} at step {training_round.step or 'none'}",
            expected=f"a masked round past the step {after}",
            step=training_round.step,
        )
    return Collection.of(training_round)


def _participated(round_id: str, org_id: str) -> TrainingRound:
    training_round = round_by_id(round_id)
    if not training_round.participants.filter(organization__org_id=org_id).exists():
        raise NotAParticipant(f"{org_id} is no participant of {round_id}")
    return training_round


def _signed(training_round: TrainingRound, step: Step, org_ids: frozenset[str]) -> list[dict[str, str]]:
    rows = training_round.masking_messages.filter(step=step, organization__org_id__in=org_ids)
    return [
        {
            "org_id": org_id,
            "statement": encode_base64(bytes(document)),
            "key_id": key_id,
            "signature": encode_base64(bytes(signature)),
        }
        for org_id, document, key_id, signature in rows.order_by("organization__org_id").values_list(
            "organization__org_id", "document", "key_id", "signature"
        )
    ]
