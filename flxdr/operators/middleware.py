"""Keeps a session without its second factor away from every page but the one that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from flxdr.platform.auth import second_factor

OPEN = frozenset(
    {
        "admin:login",
        "admin:logout",
        "docs",
        "healthz",
        "readyz",
        "sso",
        "sso-callback",
        "two-factor",
        "two-factor-check",
        "two-factor-enrol",
    }
)
"""Pages that show nothing of the federation."""


class SecondFactorMiddleware:
    """Sends staff whose session lacks the second factor (see `FL_OPERATOR_2FA`) to the page where it is shown or made.

    The API's own authentication refuses such a session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponseBase | None:
        match = request.resolver_match
        if match is None or match.view_name in OPEN or match.route.startswith("api/"):
            return None
        user = request.user
        if not user.is_staff or second_factor.is_satisfied(user):
            return None
        return redirect("two-factor")
