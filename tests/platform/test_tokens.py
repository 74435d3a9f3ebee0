"""Tokens: what holds, and every way in which one does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.auth import tokens
from flxdr.platform.errors import TokenExpired, TokenInvalid

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = {algorithm: PrivateKey.generate(algorithm) for algorithm in Algorithm}
KEY = KEYS[Algorithm.ML_DSA_65]
SECRET = tokens.HmacKey("s" * 40)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: dict[str, Any], claims: object, sign: Any) -> str:
    """A token put together by hand, as an attacker would."""
    message = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{message}.{b64(sign(message.encode()))}"


def claims(**changes: Any) -> dict[str, Any]:
    now = int(NOW.timestamp())
    complete = {"iss": "org-a", "sub": "org-a", "aud": "flxdr", "iat": now, "exp": now + 60, "jti": "j"} | changes
    return {name: value for name, value in complete.items() if value is not None}


def verify(token: str, *keys: tokens.VerificationKey, now: datetime = NOW) -> tokens.Claims:
    return tokens.verify(token, keys or (KEY.public,), now=now)


@pytest.mark.parametrize(("algorithm", "name"), [(Algorithm.ML_DSA_65, "ML-DSA-65"), (Algorithm.ED25519, "EdDSA")])
def test_own_token_holds(algorithm: Algorithm, name: str) -> None:
    token = tokens.sign_own_token(org_id="org-a", key=KEYS[algorithm], now=NOW)
    assert jwt.get_unverified_header(token)["alg"] == name
    assert tokens.read_issuer(token) == "org-a"
    held = verify(token, KEYS[algorithm].public)
    assert (held.subject, held.role, held.is_short_lived) == ("org-a", "organization", True)
    assert held.expires_at == NOW + timedelta(seconds=120)


def test_eddsa_token_is_read_by_other_implementations() -> None:
    key = KEYS[Algorithm.ED25519]
    token = tokens.sign_own_token(org_id="org-a", key=key)
    read = jwt.decode(token, key.public.to_pem(), algorithms=["EdDSA"], audience="flxdr")
    assert read["sub"] == "org-a"


def test_hs256_token_of_another_implementation_holds() -> None:
    token = jwt.encode(claims(iss="coordinator", sub="ops", role="operator"), SECRET.secret, algorithm="HS256")
    assert verify(token, KEY.public, SECRET).role == "operator"


@pytest.mark.parametrize("key", [KEY, SECRET], ids=["ml-dsa", "hmac"])
def test_issued_token_holds_for_long(key: tokens.SigningKey) -> None:
    token = tokens.issue_token(key=key, subject="ops", role="operator", lifetime=timedelta(days=30), now=NOW)
    public = key if isinstance(key, tokens.HmacKey) else key.public
    held = verify(token, public, now=NOW + timedelta(days=29))
    assert (held.issuer, held.subject, held.role, held.is_short_lived) == ("coordinator", "ops", "operator", False)


def test_two_tokens_have_two_identifiers() -> None:
    first, second = (verify(tokens.sign_own_token(org_id="org-a", key=KEY, now=NOW)).jti for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    "token",
    [
        forge({"alg": "none"}, claims(), lambda _: b""),
        forge({"alg": "None", "typ": "JWT"}, claims(), lambda _: b""),
        forge({}, claims(), KEY.sign),
        forge({"alg": "EdDSA"}, claims(), KEY.sign),
        forge({"alg": "ML-DSA-65"}, claims(), KEYS[Algorithm.ED25519].sign),
        forge({"alg": "EdDSA"}, claims(), KEYS[Algorithm.ED25519].sign),
        forge({"alg": "ML-DSA-65"}, claims(), PrivateKey.generate().sign),
        forge({"alg": "ML-DSA-65"}, claims(), lambda _: b""),
        forge({"alg": "HS256"}, claims(), lambda m: hmac.digest(KEY.public.spki, m, hashlib.sha256)),
        forge({"alg": "HS256"}, claims(), lambda m: hmac.digest(KEY.public.to_pem().encode(), m, hashlib.sha256)),
        forge({"alg": "HS256"}, claims(), lambda m: hmac.digest(b"", m, hashlib.sha256)),
        forge({"alg": "ML-DSA-65", "crit": ["b64"], "b64": False}, claims(), KEY.sign),
        forge({"alg": "ML-DSA-65", "crit": ["other"], "other": 1}, claims(), KEY.sign),
        forge({"alg": ["ML-DSA-65"]}, claims(), KEY.sign),
    ],
    ids=[
        "alg-none",
        "alg-None",
        "no-alg",
        "another-alg",
        "another-alg-signature",
        "another-key-of-another-alg",
        "another-key",
        "empty-signature",
        "hs256-with-the-public-key",
        "hs256-with-the-public-pem",
        "hs256-with-nothing",
        "unencoded-payload",
        "unknown-critical-header",
        "alg-list",
    ],
)
def test_algorithm_is_the_keys_and_not_the_headers(token: str) -> None:
    with pytest.raises(TokenInvalid, match="signature does not hold"):
        verify(token)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"aud": "other"}, "audience"),
        ({"aud": ["flxdr"]}, "audience"),
        ({"aud": None}, "audience"),
        ({"iss": None}, "`iss`"),
        ({"sub": None}, "`sub`"),
        ({"sub": "org-b"}, "for itself only"),
        ({"jti": None}, "`jti`"),
        ({"jti": ""}, "`jti`"),
        ({"jti": "x" * 65}, "`jti`"),
        ({"jti": 7}, "`jti`"),
        ({"jti": "\ud800"}, "`jti`"),
        ({"jti": "a\x00b"}, "`jti`"),
        ({"sub": "\ud800"}, "`sub`"),
        ({"exp": None}, "`exp`"),
        ({"exp": "soon"}, "`exp`"),
        ({"exp": True}, "`exp`"),
        ({"exp": 1e300}, "`exp`"),
        ({"iat": None}, "`iat`"),
        ({"iat": int(NOW.timestamp()) + 60, "exp": int(NOW.timestamp()) + 90}, "in the future"),
        ({"exp": int(NOW.timestamp()) + 301}, "lives too long"),
        ({"iat": int(NOW.timestamp()) + 5, "exp": int(NOW.timestamp()) + 5}, "lives too long"),
        ({"iss": "coordinator", "role": None}, "no role"),
        ({"iss": "coordinator", "role": "root"}, "no role"),
        ({"iss": "coordinator", "role": "operator", "exp": int(NOW.timestamp()) + 401 * 86400}, "lives too long"),
    ],
)
def test_claims_out_of_bounds(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(TokenInvalid) as refusal:
        verify(forge({"alg": "ML-DSA-65"}, claims(**changes), KEY.sign))
    assert says in str(refusal.value)


def test_own_token_cannot_name_a_role() -> None:
    token = forge({"alg": "ML-DSA-65"}, claims(role="operator"), KEY.sign)
    assert verify(token).role == "organization"


@pytest.mark.parametrize(("after", "holds"), [(129, True), (130, False), (1000, False)])
def test_expiry_with_a_small_leeway(after: int, holds: bool) -> None:
    token = tokens.sign_own_token(org_id="org-a", key=KEY, now=NOW)
    if holds:
        assert verify(token, now=NOW + timedelta(seconds=after)).subject == "org-a"
    else:
        with pytest.raises(TokenExpired):
            verify(token, now=NOW + timedelta(seconds=after))


def test_expired_forgery_is_invalid_and_not_expired() -> None:
    token = tokens.sign_own_token(org_id="org-a", key=PrivateKey.generate(), now=NOW - timedelta(days=1))
    with pytest.raises(TokenInvalid):
        verify(token)


@pytest.mark.parametrize("payload", [[], "text", None, 7])
def test_claims_that_are_no_object(payload: object) -> None:
    token = forge({"alg": "ML-DSA-65"}, payload, KEY.sign)
    with pytest.raises(TokenInvalid):
        verify(token)
    with pytest.raises(TokenInvalid):
        tokens.read_issuer(token)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(TokenInvalid):
        tokens.read_issuer(text)
    with pytest.raises(TokenInvalid):
        verify(text)


@pytest.mark.parametrize("issuer", ["\ud800", "\x00", "", "x" * 65, 7, None])
def test_issuer_that_no_database_could_look_up(issuer: object) -> None:
    with pytest.raises(TokenInvalid, match="no issuer"):
        tokens.read_issuer(forge({"alg": "ML-DSA-65"}, claims(iss=issuer), KEY.sign))


def test_too_long_a_token() -> None:
    with pytest.raises(TokenInvalid, match="too long"):
        tokens.read_issuer("a" * 20_000)


@given(st.data())
def test_a_changed_token_does_not_hold(data: st.DataObject) -> None:
    token = tokens.sign_own_token(org_id="org-a", key=KEYS[Algorithm.ED25519], now=NOW)
    position = data.draw(st.integers(0, len(token) - 2))  # the last character holds unused bits
    replacement = data.draw(st.sampled_from("ABCabc012_-"))
    changed = token[:position] + replacement + token[position + 1 :]
    if changed != token:
        with pytest.raises(TokenInvalid):
            verify(changed, KEYS[Algorithm.ED25519].public)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=301), timedelta(days=-1)])
def test_own_tokens_are_short_lived(lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match="300 s"):
        tokens.sign_own_token(org_id="org-a", key=KEY, lifetime=lifetime)


@pytest.mark.parametrize(("role", "lifetime"), [("root", timedelta(days=1)), ("operator", timedelta(days=401))])
def test_what_the_coordinator_does_not_issue(role: str, lifetime: timedelta) -> None:
    with pytest.raises(ValueError, match=r"role|days"):
        tokens.issue_token(key=KEY, subject="x", role=role, lifetime=lifetime)
