"""The identity provider of `FL_OIDC_ISSUER`: what it says of itself, as the settings that mozilla-django-oidc reads."""

from __future__ import annotations

from typing import Any

import requests
from django.conf import settings
from django.core.cache import cache

from flxdr.operators.errors import ProviderUnavailable

TIMEOUT_SECONDS = 10
DISCOVERED_SECONDS = 600
CALLBACK = "sso-callback"
_ENDPOINTS = {
    "OIDC_OP_AUTHORIZATION_ENDPOINT": "authorization_endpoint",
    "OIDC_OP_TOKEN_ENDPOINT": "token_endpoint",
    "OIDC_OP_USER_ENDPOINT": "userinfo_endpoint",
    "OIDC_OP_JWKS_ENDPOINT": "jwks_uri",
}


def is_on() -> bool:
    """Whether operators may sign in at an identity provider; the system checks want all parts or none."""
    return settings.FLXDR.oidc_issuer is not None


def issuer() -> str:
    """How the provider names itself; only where there is one."""
    return settings.FLXDR.oidc_issuer or ""


def setting(name: str, *default: Any) -> Any:
    """One of mozilla-django-oidc's settings, from the coordinator's own and from what the provider says.

    Raises:
        ProviderUnavailable: an address is asked for, and the provider does not tell it.
    """
    if name in _ENDPOINTS:
        return metadata()[_ENDPOINTS[name]]
    env = settings.FLXDR
    values = {
        "OIDC_RP_CLIENT_ID": env.oidc_client_id,
        "OIDC_RP_CLIENT_SECRET": env.oidc_client_secret,
        "OIDC_RP_SCOPES": env.oidc_scopes,
        "OIDC_RP_SIGN_ALGO": "RS256",  # any but HS256: keys come from the provider's JWKS
        "OIDC_USE_NONCE": True,
        "OIDC_USE_PKCE": True,
        "OIDC_TIMEOUT": TIMEOUT_SECONDS,
        "OIDC_AUTHENTICATION_CALLBACK_URL": CALLBACK,
        "LOGIN_REDIRECT_URL": "overview",
    }
    if name == "OIDC_TOKEN_USE_BASIC_AUTH":
        return "client_secret_basic" in metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    if name in values:
        return values[name]
    if default:
        return default[0]
    raise LookupError(name)


def metadata() -> dict[str, Any]:
    """The provider's discovery document, kept for ten minutes.

    Raises:
        ProviderUnavailable: it cannot be had, lacks an address, or is another issuer's.
    """
    key = f"oidc:{issuer()}"
    known: dict[str, Any] | None = cache.get(key)
    if known is None:
        known = _discover(issuer())
        cache.set(key, known, DISCOVERED_SECONDS)
    return known


def _discover(name: str) -> dict[str, Any]:
    address = f"{name.rstrip('/')}/.well-known/openid-configuration"
    try:
        response = requests.get(address, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        document = response.json() if response.status_code == 200 else None
    except (requests.RequestException, ValueError) as error:
        raise ProviderUnavailable(f"{address} cannot be read ({type(error).__name__})") from error
    if not isinstance(document, dict):
        raise ProviderUnavailable(f"{address} answered {response.status_code}, without a document")
    if document.get("issuer") != name:
        raise ProviderUnavailable(
            f"{address} is of the issuer {str(document.get('issuer'))[:200]!r}", expected=f"FL_OIDC_ISSUER = {name!r}"
        )
    required = ("https://", "http://") if name.startswith("http://") else ("https://",)
    for member in _ENDPOINTS.values():
        if not str(document.get(member, "")).startswith(required):
            raise ProviderUnavailable(
                f"{address} has no {member}", expected=f"an address that begins with {required[0]}"
            )
    return document
