"""Enrolment: how an organisation comes in, is approved or declined, suspended and readmitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

import ledger.selectors
from federation import statements
from federation.errors import (
    OrganizationMissing,
    OrganizationStateConflict,
    RegistrationConflict,
    RegistrationInvalid,
    TooManyRegistrations,
)
from federation.models import Organization
from federation.services.enrolment_tokens import spend_enrolment_token
from federation.services.reasons import checked_reason
from federation.services.registration import Registration
from flxdr.core import dsse
from flxdr.core.clock import Clock
from flxdr.core.keys import PublicKey
from flxdr.platform.audit import record_event
from ledger.services.governance import propose_admission
from ledger.services.locking import lock_chain

Status = Organization.Status
KeyStatus = Organization.KeyStatus
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
        invited = spend_enrolment_token(enrolment_token, declared.org_id, clock)
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


def decline(*, org_id: str, reason: str, actor: str, clock: Clock) -> None:
    """Turn a pending organisation away.

    One that never took part leaves no row behind: the name is free for whom it belongs to, and the audit event keeps
    what had been declared. One that comes back after the loss of its last key has a history; it is suspended.

    Raises:
        ReasonInvalid: no single line of at most 300 characters.
        OrganizationMissing, OrganizationStateConflict
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        lock_chain()
        _require_status(org_id, Status.PENDING)
        organization = Organization.objects.select_for_update().get(org_id=org_id)
        declared = {
            "name": organization.name,
            "data_sources": organization.data_sources,
            "key_id": _key_id(organization),
        }
        has_history = ledger.selectors.was_member(org_id) or organization.participations.exists()
        if has_history:
            organization.status = Status.SUSPENDED
            organization.save(update_fields=["status"])
        else:
            organization.delete()
        record_event(
            kind="organization.declined",
            actor=actor,
            subject=org_id,
            data=declared | {"reason": reason, "kept": has_history},
            clock=clock,
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


def _key_id(organization: Organization) -> str | None:
    spki = organization.public_key
    return None if spki is None else PublicKey.from_spki(bytes(spki)).key_id


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
