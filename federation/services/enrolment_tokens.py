"""Enrolment tokens: single-use secrets by which an operator lets one organisation enrol without a later approval."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import transaction

from federation.errors import EnrolmentRefused, EnrolmentTokenMissing, EnrolmentTokenUsed, RegistrationInvalid
from federation.models import EnrolmentToken, Organization
from federation.services.registration import Registration
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event

TOKEN_BYTES = 32


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


def revoke_enrolment_token(*, token_id: int, actor: str, clock: Clock) -> str:
    """Make a token worthless that nobody used; returns whom it was for.

    Its row goes, and the audit trail keeps that it was there and who took it back.

    Raises:
        EnrolmentTokenMissing: there is none, or it was revoked before.
        EnrolmentTokenUsed: its organisation has enrolled with it; revoking it would undo nothing.
    """
    with transaction.atomic():
        token = EnrolmentToken.objects.select_for_update().filter(pk=token_id).first()
        if token is None:
            raise EnrolmentTokenMissing(f"no enrolment token {token_id}")
        deleted, _ = EnrolmentToken.objects.filter(pk=token_id, used_at__isnull=True).delete()
        if not deleted:
            raise EnrolmentTokenUsed(
                f"{token.org_id} has enrolled with this token",
                expected="a token that nobody used",
                action="Suspend the organisation instead.",
            )
        record_event(kind="enrolment_token.revoked", actor=actor, subject=token.org_id, data={}, clock=clock)
        return token.org_id


def spend_enrolment_token(secret: str | None, org_id: str, clock: Clock) -> bool:
    """Use up a token in the registration's transaction; a retry of the registration that used it is let through.

    Returns:
        Whether this very call used it.

    Raises:
        EnrolmentRefused: the token is not one for this organisation.
    """
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


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
