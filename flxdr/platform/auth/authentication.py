"""DRF authentication: a bearer token, an operator's session, or the machine's own user in development."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from flxdr.core.errors import Forbidden
from flxdr.platform.api.throttling import admit_organization
from flxdr.platform.auth import directory, second_factor
from flxdr.platform.auth.principal import DEVELOPMENT_OPERATOR, Principal
from flxdr.platform.auth.verification import VerifiedToken, refuse_spent, spend, verified
from flxdr.platform.errors import SecondFactorNeeded, TokenInvalid

OPERATING = "federation.change_traininground"
"""The permission that stands for operating: roles hold all permissions of this kind, or none."""
FORWARDING_HEADERS = ("HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_CLIENT_IP", "HTTP_TRUE_CLIENT_IP")


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <JWT>`. A single-use token is spent by the first write that presents it.

    A view whose `spends_tokens` is true does that itself, in the transaction in which it writes.
    """

    def authenticate(self, request: Request) -> tuple[Principal, VerifiedToken] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise TokenInvalid(
                "the Authorization header holds no bearer token", expected="Authorization: Bearer <token>"
            )
        token = verified(text.strip())
        if token.principal.org_id is not None:
            admit_organization(token.principal.org_id)  # before the token is spent, which writes
        if request.method not in SAFE_METHODS:
            (refuse_spent if _view_spends(request) else spend)(token)
        if token.principal.org_id is not None and not token.seen_lately:
            directory.current().touch(token.principal.org_id)
        return token.principal, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="flxdr"'


def _view_spends(request: Request) -> bool:
    return getattr((request.parser_context or {}).get("view"), "spends_tokens", False)


class OperatorSessionAuthentication(SessionAuthentication):
    """A member of staff who is logged in; writes need the CSRF token, and a role that operates.

    One that is not enough is refused here: as somebody unknown it might pass for the machine's own user below.

    Raises:
        SecondFactorNeeded: what `FL_OPERATOR_2FA` asks for was not shown.
        Forbidden: a write, and the role does not operate.
    """

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        user = getattr(request._request, "user", None)
        if user is None or not user.is_active or not user.is_staff:
            return None
        self.enforce_csrf(request)
        if not second_factor.is_satisfied(user):
            raise SecondFactorNeeded(
                "the session has not shown its second factor",
                action="Open /account/two-factor in the browser.",
            )
        if request.method not in SAFE_METHODS and not user.has_perm(OPERATING):
            raise Forbidden(
                f"the role of {user.get_username()} looks and does not operate",
                expected="a session of an operator",
                action="Ask an administrator for the role.",
            )
        return Principal("operator", user.get_username()), None


class DevelopmentLoopbackAuthentication(BaseAuthentication):
    """In development the user of this very machine operates without a token; announced loudly at start-up.

    Only if the peer is this machine, it asked for this machine, nothing forwarded the request, and no web page of
    another site sent it.
    """

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        if settings.FLXDR.is_production or not is_from_this_machine(request._request):
            return None
        return Principal("operator", DEVELOPMENT_OPERATOR), None


def is_from_this_machine(request: HttpRequest) -> bool:
    """Whether a request came straight from a program on this machine."""
    return (
        is_loopback(request.META.get("REMOTE_ADDR", ""))
        and is_loopback(split_domain_port(request.META.get("HTTP_HOST", ""))[0])
        and not _was_forwarded(request)
        and not _comes_from_another_site(request)
    )


def is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _was_forwarded(request: HttpRequest) -> bool:
    return any(name in FORWARDING_HEADERS or name.startswith("HTTP_X_FORWARDED") for name in request.META)


def _comes_from_another_site(request: HttpRequest) -> bool:
    """A browser tells where a request comes from; without this any web page could operate the federation."""
    origin = request.META.get("HTTP_ORIGIN")
    if origin is not None and origin not in settings.CORS_ALLOWED_ORIGINS:
        parts = urlsplit(origin)
        if parts.netloc != request.META.get("HTTP_HOST"):
            return True
    elif origin is None and request.META.get("HTTP_SEC_FETCH_SITE") == "cross-site":
        return True
    return False
