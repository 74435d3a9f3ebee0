"""Accepting updates: every check before anything is stored, every retry answered alike."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

import structlog
from django.db import transaction

from federation import selectors
from federation.errors import (
    AlreadySubmitted,
    NotAParticipant,
    NotYourOrganization,
    OrganizationInactive,
    OrganizationMissing,
    RoundClosed,
    RoundMissing,
)
from federation.masking.steps import Step
from federation.models import Organization, Participant, Submission, TrainingRound
from federation.protection import registry as protections
from federation.round_config import RoundConfig
from federation.services import model_versions, reputation, rounds, submission_checks, update_values
from federation.services.masking import masked_updates
from federation.services.masking.messages import require_step
from federation.services.received import ReceivedUpdate
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from flxdr.platform.audit import record_event
from flxdr.platform.auth.verification import VerifiedToken, spend
from flxdr.platform.errors import BlobDamaged, BlobMissing
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.codec import Int32, ModelSchema

Delta = dict[str, Int32]


def submit(
    *, principal_org: str, received: ReceivedUpdate, token: VerifiedToken | None = None, clock: Clock
) -> tuple[Submission, bool]:
    """Check an update and take it into its round; the last one ends the collection.

    The same bytes again give the same submission, even after the round went on. Nothing of a refused submission is
    stored; one that is refused for what it holds is counted for its organisation.

    Args:
        principal_org: the organisation that the caller proved to be.
        token: what proved it, if it is still to be spent: together with what is written, in one commit.

    Returns:
        The submission, and whether this call created it.

    Raises:
        NotYourOrganization, OrganizationInactive, RoundMissing, NotAParticipant, AlreadySubmitted, RoundClosed,
        TokenReplayed, StatementMalformed, StatementMismatch, SignatureRequired, UnknownKey, SignatureInvalid,
        SamplesInvalid, MetricsInvalid, PrivacyRequired, PrivacyMismatch, SchemaMismatch, UpdateInvalid
    """
    part = _require_part(principal_org, received)
    structlog.contextvars.bind_contextvars(round_id=part.training_round.round_id)
    if part.status != Participant.Status.EXPECTED:
        existing = _existing(part, received.wire_digest)
        if existing is not None:
            _spend(token)
            return existing, False
    _require_open(part.training_round, part.organization, clock)

    config = RoundConfig.decode(bytes(part.training_round.config))
    try:
        submission = _described(part, config, received)
        update = _clear_update(received, submission, config)
    except (BlobMissing, BlobDamaged):
        raise  # the parent's file: no fault of the organisation
    except FlxdrError:
        with transaction.atomic():
            reputation.note_rejected(part.organization_id)
        raise
    _require_open(TrainingRound.objects.get(pk=part.training_round_id), part.organization, clock)
    _put_files(submission, update, received.body)
    return _store(part=part, submission=submission, update=update, config=config, token=token, clock=clock)


def _described(part: Participant, config: RoundConfig, received: ReceivedUpdate) -> Submission:
    """The submission as it would be stored, from what is said about the update."""
    keys = selectors.proven_keys(part.organization)
    signed = submission_checks.check_statement(received, config, part.training_round.config_hash, keys)
    return Submission(
        gradient_id=f"grad-{secrets.token_hex(8)}",
        training_round=part.training_round,
        organization=part.organization,
        wire_digest=received.wire_digest,
        kind=received.kind,
        samples=submission_checks.check_samples(received.samples, config),
        metrics=submission_checks.check_metrics(received.metrics),
        privacy=submission_checks.check_privacy(received.privacy, config),
        statement=signed.statement,
        signature=signed.signature,
        key_id=signed.key_id,
    )


def _require_part(principal_org: str, received: ReceivedUpdate) -> Participant:
    """The organisation's part in the round that the update is for, with both of them: one query if all is well."""
    if principal_org != received.org_id:
        raise NotYourOrganization(
            f"{principal_org} cannot submit for {received.org_id[:80]!r}", expected=f"org_id = {principal_org!r}"
        )
    parts = Participant.objects.select_related("organization", "training_round").order_by()
    part = parts.filter(organization__org_id=principal_org, training_round__round_id=received.round_id).first()
    organization = part.organization if part else Organization.objects.filter(org_id=principal_org).first()
    if organization is None:
        raise OrganizationMissing(f"no organization {principal_org!r}", action="Register it first.")
    if organization.status != Organization.Status.ACTIVE:
        raise OrganizationInactive(f"{principal_org} is {organization.status}", action="Ask the operator.")
    if part is not None:
        return part
    if not TrainingRound.objects.filter(round_id=received.round_id).exists():
        raise RoundMissing(f"no round {received.round_id[:80]!r}")
    raise NotAParticipant(
        f"{organization} is no participant of {received.round_id}",
        action="An organization takes part from the first round after its admission.",
    )


def _existing(part: Participant, wire_digest: str) -> Submission | None:
    existing = part.training_round.submissions.filter(organization=part.organization_id).first()
    if existing is not None and existing.wire_digest != wire_digest:
        raise AlreadySubmitted(
            f"{part.organization} submitted other bytes in {part.training_round} before",
            expected=f"a body with SHA-256 {existing.wire_digest}, or none",
            gradient_id=existing.gradient_id,
        )
    return existing


def _require_open(training_round: TrainingRound, organization: Organization, clock: Clock) -> None:
    if training_round.status != TrainingRound.Status.IN_PROGRESS:
        raise RoundClosed(
            f"{training_round} is {training_round.status}",
            action="Wait for the next round.",
            round_status=training_round.status,
        )
    if clock.now() >= training_round.deadline:
        raise RoundClosed(f"the deadline of {training_round} has passed", action="Wait for the next round.")
    if training_round.step:
        require_step(training_round, organization.org_id, Step.MASKED_INPUT, clock)


@dataclass(frozen=True)
class ClearUpdate:
    """The delta to the parent that a submission in the clear comes to, and its norm in model units."""

    delta: Delta
    norm: float


def _clear_update(received: ReceivedUpdate, submission: Submission, config: RoundConfig) -> ClearUpdate | None:
    """What a submission holds, as far as the coordinator can see: nothing, if it is masked."""
    schema = None if config.model_schema is None else ModelSchema.of(dict(config.model_schema))
    if protections.get(config.protection).is_masked:
        masked_updates.check(submission.training_round, received, schema)
        return None
    base = None
    if schema is None or received.kind != "delta":
        parent = model_versions.parent_of(config)
        schema = None if parent is None else ModelSchema.from_json(parent.schema)
        base = None if parent is None or received.kind == "delta" else model_versions.load(parent)
    delta = update_values.delta_of(received, schema, base)
    return ClearUpdate(delta, update_values.checked_norm(delta, submission.privacy, config))


def _put_files(submission: Submission, update: ClearUpdate | None, body: bytes) -> None:
    """Store the body, and the update that it comes to where those are other bytes.

    Before the transaction: nobody waits for a disk or an object store behind the round's row. Where the round is closed
    meanwhile, a file stays that no row names (`retention.discard_unnamed`).
    """
    encoded = body if update is None else codec.encode(update.delta)
    if encoded == body:
        submission.update_digest = blobs().put(body, digest=submission.wire_digest)
        return
    submission.update_digest = blobs().put(encoded)
    blobs().put(body, digest=submission.wire_digest)


def _store(
    *,
    part: Participant,
    submission: Submission,
    update: ClearUpdate | None,
    config: RoundConfig,
    token: VerifiedToken | None,
    clock: Clock,
) -> tuple[Submission, bool]:
    """Write the row, and end the collection if it was the last one: one short transaction, in the round's lock.

    Who comes first is decided by the status of the organisation's part.
    """
    with transaction.atomic():
        training_round = TrainingRound.objects.select_for_update().get(pk=part.training_round_id)
        _spend(token)
        expected = training_round.participants.filter(status=Participant.Status.EXPECTED)
        norm = None if update is None else update.norm
        if not expected.filter(pk=part.pk).update(status=Participant.Status.SUBMITTED, update_norm=norm):
            existing = _existing(part, submission.wire_digest)
            if existing is not None:
                return existing, False
        _require_open(training_round, part.organization, clock)
        now = clock.now()
        if update is not None:
            _fix_schema(config, update.delta, clock)
        submission.received_at = now
        submission.save(force_insert=True)
        Organization.objects.filter(pk=part.organization_id).update(last_update_at=now, last_seen_at=now)
        _record(submission, config, clock)
        if training_round.step or not expected.exists():
            rounds.close_collection(round_id=training_round.round_id, clock=clock)
        return submission, True


def _spend(token: VerifiedToken | None) -> None:
    if token is not None:
        spend(token)


def _fix_schema(config: RoundConfig, delta: Delta, clock: Clock) -> None:
    """The first accepted submission of a model without a schema fixes it; the round is locked meanwhile.

    Raises:
        SchemaMismatch: another submission fixed another one since this one was checked.
    """
    if config.model_schema is not None:
        return
    initial = selectors.version_of(config.model_name, 0) or model_versions.store_initial(
        model_name=config.model_name, tensors=model_versions.zeros(codec.schema_of(delta)), clock=clock
    )
    codec.check_schema(delta, ModelSchema.from_json(initial.schema))


def _record(submission: Submission, config: RoundConfig, clock: Clock) -> None:
    record_event(
        kind="submission.accepted",
        actor=submission.organization.org_id,
        subject=config.round_id,
        data={
            "gradient_id": submission.gradient_id,
            "wire_digest": submission.wire_digest,
            "samples": submission.samples,
            "signed": bool(submission.signature),
            "privacy": submission.privacy.get("mechanism"),
        },
        clock=clock,
        level=logging.DEBUG,
    )
