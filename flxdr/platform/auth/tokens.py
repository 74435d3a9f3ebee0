"""JSON web tokens over flxdr's keys. Pure: the agent signs with it, the coordinator verifies with it.

An organisation signs its own short-lived tokens (`iss` = `sub` = its `org_id`). The coordinator issues longer ones
(`iss` = `coordinator`, a `role`). A verification key carries its algorithm; the header of a token chooses nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

import jwt
from jwt.algorithms import Algorithm as JwtAlgorithm
from jwt.api_jws import PyJWS
from jwt.utils import base64url_decode

from flxdr.core.errors import FlxdrError
from flxdr.core.keys import Algorithm, PrivateKey, PublicKey
from flxdr.platform.errors import TokenExpired, TokenInvalid

AUDIENCE = "flxdr"
COORDINATOR = "coordinator"
OPERATOR = "operator"
ORGANIZATION = "organization"
SHORT_LIVED = timedelta(seconds=300)
LONGEST_ISSUED = timedelta(days=400)
LEEWAY = timedelta(seconds=10)
MAX_TOKEN_LENGTH = 16_384

_JWT_NAMES = {Algorithm.ML_DSA_65: "ML-DSA-65", Algorithm.ED25519: "EdDSA"}


@dataclass(frozen=True)
class HmacKey:
    """A shared secret for HS256 (RFC 7518, section 3.2)."""

    secret: str

    def __repr__(self) -> str:
        return "HmacKey(hidden)"


SigningKey = PrivateKey | HmacKey
VerificationKey = PublicKey | HmacKey


@dataclass(frozen=True)
class Claims:
    """The claims of a token whose signature and times hold."""

    issuer: str
    subject: str
    role: str
    issued_at: datetime
    expires_at: datetime
    jti: str

    @property
    def is_short_lived(self) -> bool:
        return self.expires_at - self.issued_at <= SHORT_LIVED


class _KeyAlgorithm(JwtAlgorithm):
    """Signatures by `flxdr.core.keys`; the key decides how."""

    def prepare_key(self, key: Any) -> Any:
        return key

    def sign(self, msg: bytes, key: Any) -> bytes:
        signature: bytes = key.sign(msg)
        return signature

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        try:
            key.verify(sig, msg)
        except FlxdrError:
            return False
        return True

    @staticmethod
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Any:
        raise NotImplementedError("keys travel as SubjectPublicKeyInfo")

    @staticmethod
    def from_jwk(jwk: Any) -> Any:
        raise NotImplementedError("keys travel as SubjectPublicKeyInfo")


class _HmacAlgorithm(_KeyAlgorithm):
    def sign(self, msg: bytes, key: Any) -> bytes:
        return hmac.digest(key.secret.encode(), msg, hashlib.sha256)

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        return hmac.compare_digest(self.sign(msg, key), sig)


def _signatures() -> PyJWS:
    signatures = PyJWS(algorithms=[])
    for name in _JWT_NAMES.values():
        signatures.register_algorithm(name, _KeyAlgorithm())
    signatures.register_algorithm("HS256", _HmacAlgorithm())
    return signatures


_JWS = _signatures()


def algorithm_of(key: SigningKey | VerificationKey) -> str:
    """The only `alg` that this key signs and verifies."""
    return "HS256" if isinstance(key, HmacKey) else _JWT_NAMES[key.algorithm]


def sign_own_token(
    *, org_id: str, key: PrivateKey, now: datetime | None = None, lifetime: timedelta = timedelta(seconds=120)
) -> str:
    """A token that an organisation signs for itself, good for one write or any number of reads until it expires."""
    if not timedelta(0) < lifetime <= SHORT_LIVED:
        raise ValueError(f"a token of one's own lives at most {SHORT_LIVED.seconds} s")
    return _sign({"iss": org_id, "sub": org_id}, key=key, now=now, lifetime=lifetime)


def issue_token(*, key: SigningKey, subject: str, role: str, lifetime: timedelta, now: datetime | None = None) -> str:
    """A token from the coordinator for an operator, or for an organisation (`subject` = its `org_id`).

    One that lives longer than five minutes may be used for any number of writes: people paste it into many commands.
    """
    if role not in (OPERATOR, ORGANIZATION):
        raise ValueError(f"{role!r} is no role")
    if not timedelta(0) < lifetime <= LONGEST_ISSUED:
        raise ValueError(f"an issued token lives at most {LONGEST_ISSUED.days} days")
    return _sign({"iss": COORDINATOR, "sub": subject, "role": role}, key=key, now=now, lifetime=lifetime)


def _sign(claims: dict[str, Any], *, key: SigningKey, now: datetime | None, lifetime: timedelta) -> str:
    issued_at = int((now or datetime.now(UTC)).timestamp())
    claims |= {
        "aud": AUDIENCE,
        "iat": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
        "jti": secrets.token_hex(16),
    }
    return _JWS.encode(json.dumps(claims).encode(), key, algorithm=algorithm_of(key))  # type: ignore[arg-type]


def read_issuer(token: str) -> str:
    """The issuer that a token claims, unverified: good for nothing but choosing the keys to verify it with.

    Raises:
        TokenInvalid: the text is no JSON web token.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenInvalid("the token is too long", expected=f"at most {MAX_TOKEN_LENGTH} characters")
    try:
        _, payload, _ = token.split(".")
        claims = base64url_decode(payload)
    except ValueError as error:
        raise TokenInvalid(
            "the token cannot be read", expected="a JSON web token: three parts joined by dots"
        ) from error
    issuer = _json_object(claims).get("iss")
    if not _is_name(issuer):
        raise TokenInvalid("the token names no issuer", expected="`iss`: the organisation's id, or `coordinator`")
    return issuer


def verify(token: str, keys: Sequence[VerificationKey], *, now: datetime) -> Claims:
    """Check a token's signature under one of `keys` (each under its own algorithm only), then its claims.

    Raises:
        TokenInvalid: no key verifies it, or a claim is missing or out of bounds.
        TokenExpired: the signature holds and the time is over.
    """
    for key in keys:
        try:
            payload = _JWS.decode(token, key, algorithms=[algorithm_of(key)])  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            continue
        return _checked(_json_object(payload), now=now)
    raise TokenInvalid(
        "the token's signature does not hold",
        expected="a signature by a registered key of the issuer, with that key's algorithm",
        action="Sign a new token with the registered key, or ask the operator for one.",
    )


def _json_object(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise TokenInvalid("the token's claims are no JSON") from error
    if not isinstance(claims, dict):
        raise TokenInvalid("the token's claims are no JSON object")
    return claims


def _checked(claims: dict[str, Any], *, now: datetime) -> Claims:
    issuer, subject, jti = (_text_claim(claims, name) for name in ("iss", "sub", "jti"))
    issued_at, expires_at = (_time_claim(claims, name) for name in ("iat", "exp"))
    if claims.get("aud") != AUDIENCE:
        raise TokenInvalid("the token is for another audience", expected=f"`aud`: {AUDIENCE!r}")
    if issued_at > now + LEEWAY:
        raise TokenInvalid(
            "the token was issued in the future", expected="`iat` not after now", action="Set the clock right."
        )
    if expires_at + LEEWAY <= now:
        raise TokenExpired("the token has expired", action="Sign or ask for a new one.")
    if issuer == COORDINATOR:
        role = claims.get("role")
        longest = LONGEST_ISSUED
        if role not in (OPERATOR, ORGANIZATION):
            raise TokenInvalid("the token has no role", expected=f"`role`: {OPERATOR} or {ORGANIZATION}")
    else:
        role = ORGANIZATION
        longest = SHORT_LIVED
        if subject != issuer:
            raise TokenInvalid("an organisation signs for itself only", expected="`sub` = `iss`")
    if not timedelta(0) < expires_at - issued_at <= longest:
        raise TokenInvalid(
            "the token lives too long", expected=f"`exp` - `iat` of at most {longest.total_seconds():.0f} s"
        )
    return Claims(issuer, subject, role, issued_at, expires_at, jti)


def _text_claim(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not _is_name(value):
        raise TokenInvalid(
            f"the token has no usable `{name}`", expected=f"`{name}`: a text of 1 to 64 printable characters"
        )
    return value


def _is_name(value: Any) -> TypeGuard[str]:
    """Text that a database takes: JSON may hold lone surrogates, which no encoding has, and zero characters."""
    return isinstance(value, str) and 0 < len(value) <= 64 and value.isprintable()


def _time_claim(claims: dict[str, Any], name: str) -> datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**33:
        raise TokenInvalid(f"the token has no usable `{name}`", expected=f"`{name}`: seconds since 1970")
    return datetime.fromtimestamp(value, UTC)
