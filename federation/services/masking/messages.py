"""Taking an organisation's message of a masked round: in its step, once, and checked before it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db import transaction

from federation import selectors, statements
from federation.errors import (
    AlreadyAnswered,
    NotAParticipant,
    OrganizationInactive,
    RosterInvalid,
    RoundClosed,
    RoundMissing,
    StatementMalformed,
    StatementMismatch,
    StepClosed,
    UnknownKey,
)
from federation.masking import ciphertexts
from federation.masking.draw import commitment
from federation.masking.roster import Advertisement
from federation.masking.round_key import RoundKey
from federation.masking.steps import Step
from federation.models import MaskingMessage, Organization, TrainingRound
from federation.selectors.masking import Collection
from federation.services import submission_checks
from federation.services.masking import steps
from flxdr.core import canonical, dsse
from flxdr.core.clock import Clock
from flxdr.platform.storage.blobs import blobs
from models_ml.codec import ModelSchema
from privacy.secagg.client import SEALED_BYTES
from privacy.secagg.shares import UnmaskShares


@dataclass(frozen=True)
class SignedDocument:
    """A statement and the signature that came with it."""

    statement: bytes
    key_id: str
    signature: bytes

    def as_json(self) -> dict[str, str]:
        """Bytes in base64."""
        return {
            "statement": dsse.encode_base64(self.statement),
            "key_id": self.key_id,
            "signature": dsse.encode_base64(self.signature),
        }


def advertise(*, org_id: str, round_id: str, signed: SignedDocument, clock: Clock) -> bool:
    """Take an organisation into a masked round.

    Returns:
        Whether this call did; the same statement again changes nothing.

    Raises:
        RoundMissing, NotAParticipant, OrganizationInactive, RoundClosed, StepClosed, AlreadyAnswered, UnknownKey,
        SignatureInvalid, StatementMalformed, StatementMismatch, RosterInvalid, GroupInvalid,
        SamplesInvalid
    """

    def check(collection: Collection) -> None:
        said = Advertisement.parse(signed.statement)
        if said.org != org_id:
            raise StatementMismatch(f"the advertisement is of {said.org[:80]!r}", expected=org_id)
        said.check(collection.config)
        said.party()
        submission_checks.check_samples(said.samples, collection.config)
        known = [Advertisement.parse(each) for each in _documents(collection.training_round, Step.ADVERTISE)]
        keys = {key for each in known for key in (each.mask_key, each.share_key)}
        if said.mask_key == said.share_key or keys & {said.mask_key, said.share_key}:
            raise RosterInvalid("an advertised key is used twice", expected="two new keys for every round")

    message = _Message(org_id, round_id, Step.ADVERTISE, signed.statement, signed, dsse.ADVERTISEMENT_TYPE)
    return _take(message, check, clock)


def reveal(*, org_id: str, round_id: str, nonce: bytes, clock: Clock) -> bool:
    """Take the number to which an organisation committed, from which the buckets are drawn.

    Raises:
        As `advertise`, and RosterInvalid: it is another one.
    """

    def check(collection: Collection) -> None:
        said = Advertisement.parse(collection.messages(Step.ADVERTISE, frozenset([org_id]))[org_id])
        if said.draw_commitment != commitment(nonce):
            raise RosterInvalid("the number is not the one that was committed to", expected=said.draw_commitment)

    return _take(_Message(org_id, round_id, Step.REVEAL, canonical.encode({"nonce": nonce.hex()})), check, clock)


def share(
    *,
    org_id: str,
    round_id: str,
    roster_hash: str,
    shares: Mapping[str, str],
    round_key: SignedDocument | None = None,
    clock: Clock,
) -> bool:
    """Take the shares of an organisation's secrets, each sealed for one other member of its group.

    Args:
        round_key: of a Paillier round, from the organisations that make its keys.

    Raises:
        As `advertise`, and RosterInvalid: for another roster, or not for exactly the others of its group, or without
        the round key that is asked of it, or with one that is not.
    """

    def check(collection: Collection) -> None:
        _require_roster(collection, roster_hash)
        others = {party.org_id for party in collection.roster.group_of(org_id).parties} - {org_id}
        if set(shares) != others:
            raise RosterInvalid(
                f"shares for {len(shares)} organizations", expected=f"one for each of {', '.join(sorted(others))}"
            )
        for receiver, sealed in shares.items():
            if len(dsse.decode_base64(sealed, f"the share for {receiver}")) != SEALED_BYTES:
                raise StatementMalformed(
                    f"the share for {receiver} has another length", expected=f"{SEALED_BYTES} bytes"
                )

        _check_round_key(collection, org_id, round_key)

    key = {} if round_key is None else {"round_key": round_key.as_json()}
    document = canonical.encode({"roster_hash": roster_hash, "shares": dict(shares)} | key)
    return _take(_Message(org_id, round_id, Step.SHARES, document), check, clock)


def confirm(*, org_id: str, round_id: str, signed: SignedDocument, clock: Clock) -> bool:
    """Take an organisation's signature over whose masked updates arrived.

    Raises:
        As `advertise`, and StatementMismatch: it was told of others than the coordinator knows of.
    """

    def check(collection: Collection) -> None:
        expected = statements.survivors(
            round_id=round_id,
            roster_hash=collection.roster.digest.hex(),
            sharers=collection.remaining(Step.SHARES),
            survivors=collection.remaining(Step.MASKED_INPUT),
        )
        if signed.statement != expected:
            raise StatementMismatch("the confirmation is not of this round's survivors", expected=expected.decode())

    message = _Message(org_id, round_id, Step.CONSISTENCY, signed.statement, signed, dsse.SURVIVORS_TYPE)
    return _take(message, check, clock)


def unmask(*, org_id: str, round_id: str, shares: UnmaskShares, clock: Clock) -> bool:
    """Take an organisation's shares of what unmasks its group's sum.

    Raises:
        As `advertise`, and ShareInvalid: not of exactly the survivors' self-masks and the drop-outs' mask keys.
    """

    def check(collection: Collection) -> None:
        group = collection.roster.group_of(org_id)
        sharers, survivors = (collection.members(group, step) for step in (Step.SHARES, Step.MASKED_INPUT))
        shares.require(sharers=sharers, survivors=survivors)

    return _take(_Message(org_id, round_id, Step.UNMASK, canonical.encode(shares.as_json())), check, clock)


def open_sums(*, org_id: str, round_id: str, openings: bytes, clock: Clock) -> bool:
    """Take the openings of a Paillier round's sums from one of the organisations that hold the key.

    Raises:
        As `advertise`, and OpeningInvalid: they are not those of the sums.
    """

    def check(collection: Collection) -> None:
        training_round = collection.training_round
        sums = blobs().verify(training_round.sum_digest).read_bytes()
        schema = ModelSchema.of(dict(collection.config.model_schema or ()))
        arrangement = ciphertexts.layout(collection.config, schema.size)
        ciphertexts.OpenedSums.check(collection.public_key(), arrangement, sums, openings)
        training_round.opening_digest = blobs().put(openings)
        training_round.save(update_fields=["opening_digest"])

    document = canonical.encode({"openings": canonical.digest(openings)})
    return _take(_Message(org_id, round_id, Step.OPEN, document), check, clock)


@dataclass(frozen=True)
class _Message:
    """A document for a step; with its signature, where the step asks for one, of the DSSE type `kind`."""

    org_id: str
    round_id: str
    step: Step
    document: bytes
    signed: SignedDocument | None = None
    kind: str = ""


@transaction.atomic
def _take(message: _Message, check: Callable[[Collection], None], clock: Clock) -> bool:
    training_round = TrainingRound.objects.select_for_update().filter(round_id=message.round_id).first()
    if training_round is None:
        raise RoundMissing(f"no round {message.round_id[:80]!r}")
    organization = _participant(training_round, message.org_id)
    existing = training_round.masking_messages.filter(organization=organization, step=message.step).first()
    if existing is not None:
        if bytes(existing.document) != message.document:
            raise AlreadyAnswered(
                f"{message.org_id} answered the step {message.step} of {training_round} with something else before",
                expected="the same content again, or nothing",
            )
        return False
    check(require_step(training_round, message.org_id, message.step, clock))
    signed = message.signed
    if signed is not None:
        _require_signature(message.org_id, signed, message.kind)
    MaskingMessage.objects.create(
        training_round=training_round,
        organization=organization,
        step=message.step,
        document=message.document,
        signature=signed.signature if signed else b"",
        key_id=signed.key_id if signed else "",
        received_at=clock.now(),
    )
    Organization.objects.filter(pk=organization.pk).update(last_seen_at=clock.now())
    steps.advance(training_round, clock)
    return True


def require_step(training_round: TrainingRound, org_id: str, step: Step, clock: Clock) -> Collection:
    """The collection, if it is at `step`, in time, and waits for the organisation.

    Raises:
        RoundClosed, StepClosed
    """
    if training_round.status != TrainingRound.Status.IN_PROGRESS:
        raise RoundClosed(f"{training_round} is {training_round.status}", round_status=training_round.status)
    if training_round.step != step or clock.now() >= training_round.deadline:
        raise StepClosed(
            f"{training_round} is at the step {training_round.step or 'collection'}",
            expected=f"the step {step}, before its deadline",
            action="Wait for the next round.",
            step=training_round.step,
        )
    collection = Collection.of(training_round)
    if org_id not in collection.expected(step):
        raise StepClosed(
            f"{training_round} goes on without {org_id}",
            expected="an organization that answered every step before, in a group with enough others",
            action="Wait for the next round.",
            step=training_round.step,
        )
    return collection


def _participant(training_round: TrainingRound, org_id: str) -> Organization:
    participant = training_round.participants.select_related("organization").filter(organization__org_id=org_id).first()
    if participant is None:
        raise NotAParticipant(f"{org_id} is no participant of {training_round}")
    organization = participant.organization
    if organization.status != Organization.Status.ACTIVE:
        raise OrganizationInactive(f"{org_id} is {organization.status}", action="Ask the operator.")
    return organization


def _require_signature(org_id: str, signed: SignedDocument, kind: str) -> None:
    for key in selectors.signing_keys(org_id):
        if key.key_id == signed.key_id:
            dsse.verify(key, signed.signature, kind, signed.statement)
            return
    raise UnknownKey(
        f"{signed.key_id[:80]!r} is no proven key of {org_id}",
        expected="the key id (SHA-256 of the SubjectPublicKeyInfo) of the registered key",
    )


def _require_roster(collection: Collection, roster_hash: str) -> None:
    if roster_hash != collection.roster.digest.hex():
        raise RosterInvalid(
            f"the message is for the roster {roster_hash[:80]}", expected=collection.roster.digest.hex()
        )


def _check_round_key(collection: Collection, org_id: str, signed: SignedDocument | None) -> None:
    """That exactly the organisations that make keys send one, and a usable one, wrapped for the other holders."""
    is_maker = bool(collection.config.modulus_bits) and org_id in ciphertexts.makers(collection.roster)
    if signed is None or not is_maker:
        if is_maker != (signed is not None):
            raise RosterInvalid(
                f"{org_id} sends {'no' if signed is None else 'a'} round key",
                expected="one from each organization that makes the round's keys, and from no other",
            )
        return
    said = RoundKey.parse(signed.statement)
    others = set(ciphertexts.holders(collection.roster)) - {org_id}
    if (said.org, said.round_id, said.roster_hash) != (
        org_id,
        collection.config.round_id,
        collection.roster.digest.hex(),
    ) or set(said.wrapped) != others:
        raise RosterInvalid("the round key is for another round or other holders", expected=", ".join(sorted(others)))
    ciphertexts.public_key(said.public_bytes, collection.config.modulus_bits)
    _require_signature(org_id, signed, dsse.ROUND_KEY_TYPE)


def _documents(training_round: TrainingRound, step: Step) -> list[bytes]:
    return [bytes(row) for row in training_round.masking_messages.filter(step=step).values_list("document", flat=True)]
