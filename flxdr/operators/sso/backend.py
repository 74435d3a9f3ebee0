"""Signing in with an ID token: mozilla-django-oidc's exchange, with the checks that it leaves to its users."""

from __future__ import annotations

from typing import Any

import jwt
import requests
import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from flxdr.operators.errors import IdentityRefused, ProviderUnavailable
from flxdr.operators.sso import accounts, claims, provider

KEY_TYPES = {"RS256": "RSA", "ES256": "EC"}
"""The algorithms that are allowed, and the kind of key of each."""
LEEWAY_SECONDS = 60
REQUIRED_CLAIMS = ["iss", "aud", "sub", "exp", "iat", "nonce"]
TRUST, AMR = "trust", "amr"
_log = structlog.get_logger("flxdr.sso")


class SingleSignOnBackend(OIDCAuthenticationBackend):
    """Takes the callback of a sign-in that this session began, and no name and password."""

    get_settings = staticmethod(provider.setting)

    def __init__(self) -> None:
        """Without asking the provider anything: Django makes a backend for every request of a signed-in session."""
        self.UserModel = User

    def authenticate(self, request: HttpRequest, *, nonce: str, code_verifier: str) -> User:
        """The account of whom the provider vouches for. Django passes it no password: the signature takes none.

        Raises:
            ProviderUnavailable: the provider does not answer as one.
            IdentityRefused: it refuses the code, or its token does not hold.
            AccessRefused: the person has no role here.
        """
        super().__init__()
        try:
            known = super().authenticate(request, nonce=nonce, code_verifier=code_verifier)
        except requests.HTTPError as error:
            raise IdentityRefused("the identity provider did not take the code of this sign-in") from error
        except requests.RequestException as error:
            raise ProviderUnavailable(f"the identity provider does not answer ({type(error).__name__})") from error
        except (jwt.PyJWTError, SuspiciousOperation, KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("ID token refused", reason=f"{type(error).__name__}: {error}"[:300])
            raise IdentityRefused("the identity provider's answer does not hold") from error
        if known is None:
            raise IdentityRefused("the identity provider's answer does not hold")
        return _account(known)

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """No account yet: what is known of the person, from the token and from what the provider tells beside it."""
        told: dict[str, Any] = self.get_userinfo(access_token, id_token, payload)
        if told.get("sub") != payload["sub"]:
            raise SuspiciousOperation("the user info is somebody else's")
        return {**told, **payload}

    def retrieve_matching_jwk(self, token: str) -> jwt.PyJWK:
        """The provider's key that signed: the one of this identifier, or, where the token names none, its only one."""
        header = jwt.get_unverified_header(token)
        if header["alg"] not in KEY_TYPES:
            raise SuspiciousOperation(f"the algorithm {header['alg']!r} is not allowed")
        response = requests.get(self.OIDC_OP_JWKS_ENDPOINT, timeout=provider.TIMEOUT_SECONDS)
        response.raise_for_status()
        keys = [
            key
            for key in response.json()["keys"]
            if key["kty"] == KEY_TYPES[header["alg"]]
            and key.get("use", "sig") == "sig"
            and header.get("kid") in (None, key.get("kid"))
        ]
        if len(keys) != 1:
            raise SuspiciousOperation(f"{len(keys)} keys of the provider fit the token")
        return jwt.PyJWK(keys[0], header["alg"])

    def _verify_jws(self, payload: str, key: jwt.PyJWK) -> dict[str, Any]:
        """Check signature, issuer, audience and times of an ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        client = settings.FLXDR.oidc_client_id
        token: dict[str, Any] = jwt.decode(
            payload,
            key,
            algorithms=[key.algorithm_name],
            issuer=settings.FLXDR.oidc_issuer,
            audience=client,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
        if token.get("azp", client) != client or (isinstance(token["aud"], list) and token["aud"] != [client]):
            raise SuspiciousOperation("the token is for another client as well")
        if not isinstance(token["sub"], str) or not 0 < len(token["sub"]) <= 255:
            raise SuspiciousOperation("the token names nobody")
        return token


def _account(known: dict[str, Any]) -> User:
    env = settings.FLXDR
    user = accounts.sign_in_account(
        issuer=provider.issuer(),
        subject=known["sub"],
        name=claims.name_of(known, subject=known["sub"]),
        roles=claims.roles_of(known, claim=env.oidc_role_claim, mapping=env.oidc_roles or ()),
    )
    user.issuer = env.oidc_issuer  # type: ignore[attr-defined]  # these two are for the session and its event
    user.has_outer_factor = env.oidc_second_factor == TRUST or (  # type: ignore[attr-defined]
        env.oidc_second_factor == AMR and claims.has_second_factor(known)
    )
    return user
