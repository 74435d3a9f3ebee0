"""An organisation's way to its own page, without a password: its agent asks for a link, which opens one session.

The link is signed by the coordinator, names the organisation, and is good for two minutes and one use: what it opens
spends its number in the same table in which single-use tokens are spent.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from django.core.signing import BadSignature, Signer
from django.db import IntegrityError, transaction

from federation.errors import SignInRefused
from federation.models import Organization
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from flxdr.platform.models import UsedToken

LIFETIME = timedelta(minutes=2)
ISSUER = "page:sign-in"
"""Of the spent numbers; with a colon, which no organisation has in its name."""
LONGEST = 500
_SALT = "federation.sign_in"
_ANEW = "Ask for a new one: `flxdr-agent page`."


def make_sign_in_secret(*, org_id: str, clock: Clock) -> str:
    """The secret part of a link with which an active organisation signs in once.

    Raises:
        SignInRefused: there is no such organisation, or it is not active.
    """
    _active(org_id)
    expires = int((clock.now() + LIFETIME).timestamp())
    return Signer(salt=_SALT).sign_object([org_id, secrets.token_hex(16), expires], compress=False)


def whose_link(*, secret: str, clock: Clock) -> Organization:
    """Whom a link would sign in, without using it up.

    Raises:
        SignInRefused: the link is no link of ours, too old, used, or of an organisation that is not active.
    """
    org_id, number, _ = _read(secret, clock.now())
    if UsedToken.objects.filter(issuer=ISSUER, jti=number).exists():
        raise _used()
    return _active(org_id)


def sign_in(*, secret: str, clock: Clock) -> Organization:
    """Use a link up; whoever has it acts for the organisation's eyes from now on.

    Raises:
        SignInRefused: as `whose_link`.
    """
    org_id, number, expires_at = _read(secret, clock.now())
    try:
        with transaction.atomic():
            organization = _active(org_id)
            UsedToken.objects.create(issuer=ISSUER, jti=number, expires_at=expires_at)
            record_event(kind="organization.signed_in", actor=org_id, subject=org_id, data={}, clock=clock)
    except IntegrityError as error:
        raise _used() from error
    return organization


def _read(secret: str, now: datetime) -> tuple[str, str, datetime]:
    """The organisation, the link's number and its end."""
    try:
        if len(secret) > LONGEST:
            raise BadSignature
        org_id, number, expires = Signer(salt=_SALT).unsign_object(secret)
    except (BadSignature, ValueError) as error:
        raise SignInRefused("this is no link of the coordinator", action=_ANEW) from error
    expires_at = datetime.fromtimestamp(expires, UTC)
    if expires_at <= now:
        raise SignInRefused("the link is too old", expected="a link of the last two minutes", action=_ANEW)
    return org_id, number, expires_at


def _active(org_id: str) -> Organization:
    organization = Organization.objects.filter(org_id=org_id, status=Organization.Status.ACTIVE).first()
    if organization is None:
        raise SignInRefused(f"{org_id} is no active organization", action="Ask the operator.")
    return organization


def _used() -> SignInRefused:
    return SignInRefused("the link was used before", expected="a link that nobody opened", action=_ANEW)
