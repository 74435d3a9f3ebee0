"""From a bearer token to a principal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from flxdr.core.clock import Clock, SystemClock
from flxdr.platform.auth import directory, tokens
from flxdr.platform.auth.principal import Principal
from flxdr.platform.errors import OrganizationNotActive, OrganizationSuspended, TokenReplayed, UnknownOrganization
from flxdr.platform.identity import coordinator_key
from flxdr.platform.models import UsedToken

_SYSTEM_CLOCK = SystemClock()


@dataclass(frozen=True)
class VerifiedToken:
    """A token that holds. `single_use` ones are good for one write; `seen_lately` as in the directory's record."""

    principal: Principal
    issuer: str
    jti: str
    expires_at: datetime
    single_use: bool
    seen_lately: bool = True


def verify_pqc_token(token: str, *, clock: Clock = _SYSTEM_CLOCK) -> Principal:
    """Who a bearer token speaks for.

    Raises:
        TokenInvalid, TokenExpired, UnknownOrganization: 401.
        OrganizationSuspended, OrganizationNotActive: 403.
    """
    return verified(token, clock=clock).principal


def verified(token: str, *, clock: Clock = _SYSTEM_CLOCK) -> VerifiedToken:
    """Verify a token under the keys of its claimed issuer, each with its own algorithm whatever the header says.

    The coordinator's keys are its ML-DSA-65 key and, where it is set, `API_HMAC_KEY` for HS256. An organisation is
    known by the keys whose possession it proved; its standing is looked at only after the signature holds.
    """
    issuer = tokens.read_issuer(token)
    keys: list[tokens.VerificationKey]
    record = None
    if issuer == tokens.COORDINATOR:
        keys = [coordinator_key().public]
        if settings.FLXDR.api_hmac_key:
            keys.append(tokens.HmacKey(settings.FLXDR.api_hmac_key))
    else:
        record = directory.current().look_up(issuer)
        keys = list(record.signing_keys)
        if not keys:
            raise UnknownOrganization(
                f"no organisation {issuer!r} with a proven key is registered",
                action="Register with a key and its proof, or use a token that the operator issued.",
            )
    claims = tokens.verify(token, keys, now=clock.now())
    seen_lately = True
    if claims.role == tokens.OPERATOR:
        principal = Principal("operator", claims.subject)
    else:
        record = record or directory.current().look_up(claims.subject)
        require_active(claims.subject, record)
        principal = Principal("organization", claims.subject)
        seen_lately = record.seen_lately
    return VerifiedToken(principal, claims.issuer, claims.jti, claims.expires_at, claims.is_short_lived, seen_lately)


def require_active(org_id: str, record: directory.Record) -> None:
    """Refuse organisations that are suspended, pending or unknown.

    Raises:
        OrganizationSuspended, OrganizationNotActive
    """
    if record.standing is directory.Standing.SUSPENDED:
        raise OrganizationSuspended(f"{org_id} is suspended", action="Ask the operator why.")
    if record.standing is not directory.Standing.ACTIVE:
        raise OrganizationNotActive(
            f"{org_id} is not an active organisation", action="Wait for the operator's approval, or register."
        )


def spend(token: VerifiedToken) -> None:
    """Use up a single-use token, in the caller's transaction if there is one.

    Raises:
        TokenReplayed: it was used before, here or in another process.
    """
    if not token.single_use:
        return
    try:
        with transaction.atomic():
            UsedToken.objects.create(issuer=token.issuer, jti=token.jti, expires_at=token.expires_at)
    except IntegrityError as error:
        raise _replayed() from error


def refuse_spent(token: VerifiedToken) -> None:
    """Refuse a single-use token that is known to be used up, before anything is done for it.

    Raises:
        TokenReplayed
    """
    if token.single_use and UsedToken.objects.filter(issuer=token.issuer, jti=token.jti).exists():
        raise _replayed()


def _replayed() -> TokenReplayed:
    return TokenReplayed(
        "this token was already used for a write",
        expected="a token with a fresh `jti` for every write",
        action="Sign a new token over the same body: a retry of identical bytes is safe.",
    )


@contextmanager
def spent_at_the_end(token: VerifiedToken | None) -> Iterator[None]:
    """For a write that spends its token in a transaction of its own: one that fails has spent it as well."""
    try:
        yield
    except Exception:
        if token is not None:
            spend(token)
        raise
