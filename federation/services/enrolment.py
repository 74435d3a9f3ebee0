"""Enrolment: how an organisation comes in, is approved, suspended and readmitted."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

import ledger.selectors
from federation import statements
from federation.errors import (
    EnrolmentRefused,
    OrganizationMissing,
    OrganizationStateConflict,
    RegistrationConflict,
    RegistrationInvalid,
    TooManyRegistrations,
)
from federation.models import EnrolmentToken, Organization
from federation.services.registration import Registration
from flxdr.core import dsse
from flxdr.core.clock import Clock
from flxdr.core.keys import PublicKey
from flxdr.platform.audit import record_event
from ledger.services.governance import propose_admission
from ledger.services.locking import lock_chain

Status = Organization.Status
KeyStatus = Organization.KeyStatus
TOKEN_BYTES = 32
MAX_WAITING = 500
"""Organisations that may wait for an operator's approval: anybody can register one."""


def register(
    *,
    org_id: str,
    name: str,
    data_sources: Mapping[str, str] | None = None,
    public_key_text: str | None = None,
    key_proof: bytes | None = None,
    enrolment_token: str | None = None,
    clock: Clock,
) -> Organization:
    """Register an organisation, or confirm the same registration again.

    It is active at once in development or with an enrolment token, else pending an operator's approval. A key with a
    proof of possession is proposed for admission to the chain as soon as the organisation is active; a key without
    one stays `unproven` until the same registration comes again with it. An enrolment token names who the operator
    means by `org_id`: its registration takes the place of one that waits under that name, whoever made it. An
    organisation whose last key was revoked registers anew, with another key.

    Raises:
        RegistrationInvalid, KeyInvalid: a value out of bounds, or a proof without a key.
        SignatureInvalid: the proof does not verify.
        EnrolmentRefused: the token is not one for this organisation.
        RegistrationConflict: the name is registered with other data.
        TooManyRegistrations: too many organisations wait for an operator's approval.
    """
    declared = Registration.read(org_id=org_id, name=name, data_sources=data_sources, public_key_text=public_key_text)
    proven = _check_proof(declared, key_proof)
    with transaction.atomic():
        lock_chain()
        invited = _spend_token(enrolment_token, declared.org_id, clock)
        entitled = invited or settings.FLXDR.env == "development"
        organization = Organization.objects.select_for_update().filter(org_id=declared.org_id).first()
        if organization is None:
            organization = _create(declared, key_proof if proven else None, active=entitled, clock=clock)
        elif organization.key_status == KeyStatus.REVOKED:
            _return(organization, declared, key_proof if proven else None, active=entitled, clock=clock)
        else:
            if invited and organization.status == Status.PENDING and _differs(organization, declared):
                _replace(organization, declared, clock)
            _confirm(organization, declared, key_proof if proven else None, entitled=entitled, clock=clock)
        _propose_if_due(organization, clock)
        return organization


def approve(*, org_id: str, actor: str, clock: Clock) -> Organization:
    """Let a pending organisation take part.

    Raises:
        OrganizationMissing, OrganizationStateConflict
    """
    return _move(
        org_id=org_id,
        source=Status.PENDING,
        target=Status.ACTIVE,
        event="approved",
        actor=actor,
        clock=clock,
        approved_at=clock.now(),
    )


def suspend(*, org_id: str, actor: str, clock: Clock) -> Organization:
    """Shut an active organisation out, effective at once.

    Raises:
        OrganizationMissing, OrganizationStateConflict
    """
    return _move(
        org_id=org_id, source=Status.ACTIVE, target=Status.SUSPENDED, event="suspended", actor=actor, clock=clock
    )


def readmit(*, org_id: str, actor: str, clock: Clock) -> Organization:
    """Let a suspended organisation back in; not one whose last key was revoked, which registers anew.

    Raises:
        OrganizationMissing, OrganizationStateConflict
    """
    _require_key_not_revoked(org_id)
    return _move(
        org_id=org_id, source=Status.SUSPENDED, target=Status.ACTIVE, event="readmitted", actor=actor, clock=clock
    )


def require_suspendable(*, org_id: str) -> None:
    """Refuse what `suspend` would refuse now."""
    _require_status(org_id, Status.ACTIVE)


def require_readmittable(*, org_id: str) -> None:
    """Refuse what `readmit` would refuse now."""
    _require_key_not_revoked(org_id)
    _require_status(org_id, Status.SUSPENDED)


def create_enrolment_token(*, org_id: str, lifetime: timedelta, actor: str, clock: Clock) -> str:
    """A single-use secret with which `org_id` enrols as active. Only its digest is kept.

    Raises:
        RegistrationInvalid: no possible name of an organisation, or a lifetime that is not positive.
    """
    Registration.read(org_id=org_id, name=org_id, data_sources=None, public_key_text=None)
    if lifetime <= timedelta(0):
        raise RegistrationInvalid("the token would never be valid", expected="a positive lifetime", field="lifetime")
    secret = secrets.token_urlsafe(TOKEN_BYTES)
    now = clock.now()
    with transaction.atomic():
        EnrolmentToken.objects.create(digest=_digest(secret), org_id=org_id, created_at=now, expires_at=now + lifetime)
        record_event(kind="enrolment_token.created", actor=actor, subject=org_id, data={}, clock=clock)
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check_proof(declared: Registration, key_proof: bytes | None) -> bool:
    if key_proof is None:
        return False
    if declared.public_key is None:
        raise RegistrationInvalid(
            "a proof of possession without a key", expected="crypto_pubkey beside key_proof", field="key_proof"
        )
    dsse.verify(declared.public_key, key_proof, dsse.REGISTRATION_TYPE, _statement(declared))
    return True


def _statement(declared: Registration) -> bytes:
    assert declared.public_key is not None
    return statements.registration(
        org_id=declared.org_id,
        org_name=declared.name,
        key_id=declared.public_key.key_id,
        chain_id=ledger.selectors.chain_id(),
    )


def _spend_token(secret: str | None, org_id: str, clock: Clock) -> bool:
    """Use up an enrolment token; a retry of the registration that used it is let through."""
    if secret is None:
        return False
    tokens = EnrolmentToken.objects.filter(digest=_digest(secret), org_id=org_id)
    now = clock.now()
    if tokens.filter(used_at__isnull=True, expires_at__gt=now).update(used_at=now) == 1:
        return True
    if tokens.filter(used_at__isnull=False).exists() and Organization.objects.filter(org_id=org_id).exists():
        return False
    raise EnrolmentRefused(
        "the enrolment token is unknown, expired, or another organization's",
        action="Ask the operator for a new one.",
    )


def _create(declared: Registration, key_proof: bytes | None, *, active: bool, clock: Clock) -> Organization:
    if not active and Organization.objects.filter(status=Status.PENDING).count() >= MAX_WAITING:
        raise TooManyRegistrations(
            f"{MAX_WAITING} organizations wait for an operator's approval",
            expected="an enrolment token, or a time when fewer wait",
            action="Ask the operator for an enrolment token.",
        )
    key = declared.public_key
    now = clock.now()
    key_status = KeyStatus.NONE if key is None else KeyStatus.PROVEN if key_proof else KeyStatus.UNPROVEN
    try:
        with transaction.atomic():
            organization = Organization.objects.create(
                org_id=declared.org_id,
                name=declared.name,
                data_sources=dict(declared.data_sources),
                status=Status.ACTIVE if active else Status.PENDING,
                key_status=key_status,
                public_key=key.spki if key else None,
                key_proof=key_proof,
                registered_at=now,
                approved_at=now if active else None,
            )
    except IntegrityError as error:
        raise RegistrationConflict(
            f"{declared.org_id} is being registered at this moment", action="Send the registration again."
        ) from error
    record_event(
        kind="organization.registered",
        actor=declared.org_id,
        subject=declared.org_id,
        data={"status": str(organization.status), "key_status": str(key_status), "key_id": key.key_id if key else None},
        clock=clock,
    )
    return organization


def _return(
    organization: Organization, declared: Registration, key_proof: bytes | None, *, active: bool, clock: Clock
) -> None:
    """Register an organisation anew that lost its last key; what it was approved for ended with that."""
    key = declared.public_key
    if key is None or ledger.selectors.is_retired(key.key_id):
        raise RegistrationConflict(
            f"the last key of {organization.org_id} was revoked",
            expected="a registration with a new key",
            action="Make one in a new home: `flxdr-agent init`, then `enrol`.",
        )
    organization.name = declared.name
    organization.data_sources = dict(declared.data_sources)
    organization.status = Status.ACTIVE if active else Status.PENDING
    organization.public_key, organization.key_proof = key.spki, key_proof
    organization.key_status = KeyStatus.PROVEN if key_proof else KeyStatus.UNPROVEN
    organization.approved_at = clock.now() if active else None
    organization.save()
    _record("registered_anew", organization, organization.org_id, clock)


def _differs(organization: Organization, declared: Registration) -> bool:
    stored_key = bytes(organization.public_key) if organization.public_key is not None else None
    stored = (organization.name, organization.data_sources, stored_key)
    key = declared.public_key
    return stored != (declared.name, dict(declared.data_sources), key.spki if key else None)


def _replace(organization: Organization, declared: Registration, clock: Clock) -> None:
    """Let the invited organisation have its name: what waits under it was never approved and has done nothing."""
    key = declared.public_key
    organization.name = declared.name
    organization.data_sources = dict(declared.data_sources)
    organization.public_key = key.spki if key else None
    organization.key_status = KeyStatus.UNPROVEN if key else KeyStatus.NONE
    organization.key_proof = None
    organization.save(update_fields=["name", "data_sources", "public_key", "key_status", "key_proof"])
    _record("registration_replaced", organization, organization.org_id, clock)


def _confirm(
    organization: Organization, declared: Registration, key_proof: bytes | None, *, entitled: bool, clock: Clock
) -> None:
    """Accept the same registration again, with what it adds: a proof of the declared key, a right to be active."""
    if _differs(organization, declared):
        raise RegistrationConflict(
            f"{organization.org_id} is registered with another name, key or data sources",
            expected="the data of the first registration",
            action="Choose another org_id, or ask the operator.",
        )
    if key_proof is not None and organization.key_status == KeyStatus.UNPROVEN:
        organization.key_status = KeyStatus.PROVEN
        organization.key_proof = key_proof
        organization.save(update_fields=["key_status", "key_proof"])
        _record("key_proven", organization, organization.org_id, clock)
    if entitled and organization.status == Status.PENDING:
        organization.status = Status.ACTIVE
        organization.approved_at = clock.now()
        organization.save(update_fields=["status", "approved_at"])
        _record("approved", organization, organization.org_id, clock)


def _move(
    *, org_id: str, source: Status, target: Status, event: str, actor: str, clock: Clock, **fields: Any
) -> Organization:
    with transaction.atomic():
        lock_chain()
        moved = Organization.objects.filter(org_id=org_id, status=source).update(status=target, **fields)
        if not moved:
            _require_status(org_id, source)
        organization = Organization.objects.get(org_id=org_id)
        _record(event, organization, actor, clock)
        _propose_if_due(organization, clock)
        return organization


def _require_status(org_id: str, status: Status) -> None:
    organization = Organization.objects.filter(org_id=org_id).first()
    if organization is None:
        raise OrganizationMissing(f"no organization {org_id!r}")
    if organization.status != status:
        raise OrganizationStateConflict(
            f"{org_id} is {organization.status}", expected=f"an organization that is {status.value}"
        )


def _require_key_not_revoked(org_id: str) -> None:
    if Organization.objects.filter(org_id=org_id, key_status=KeyStatus.REVOKED).exists():
        raise OrganizationStateConflict(
            f"the last key of {org_id} was revoked",
            expected="an organization with a key, or one that never had any",
            action="Let it register anew, with a new key (`flxdr-agent init` and `enrol` in a new home).",
        )


def _record(event: str, organization: Organization, actor: str, clock: Clock) -> None:
    record_event(
        kind=f"organization.{event}",
        actor=actor,
        subject=organization.org_id,
        data={"status": organization.status, "key_status": organization.key_status},
        clock=clock,
    )


def _propose_if_due(organization: Organization, clock: Clock) -> None:
    """Propose the admission of an active organisation's proven key, unless it is a member or being voted on."""
    if organization.status != Status.ACTIVE or organization.key_status != KeyStatus.PROVEN:
        return
    org_id = organization.org_id
    if ledger.selectors.is_member(org_id):
        return
    assert organization.public_key is not None
    assert organization.key_proof is not None
    key = PublicKey.from_spki(bytes(organization.public_key))
    declared = Registration(org_id, organization.name, organization.data_sources, key)
    propose_admission(
        org_id=org_id,
        public_key=key,
        proof=bytes(organization.key_proof),
        statement=_statement(declared),
        clock=clock,
    )
