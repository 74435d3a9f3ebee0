"""A session that an identity provider vouched for: how long it lasts, and whether it has its second factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse

from flxdr.core.clock import SystemClock
from flxdr.operators.sso import provider

_KEY = "single_sign_on"


@dataclass(frozen=True)
class SignIn:
    """What the session keeps of the sign-in."""

    until: datetime
    has_second_factor: bool

    @staticmethod
    def begin(session: SessionBase, *, until: datetime, has_second_factor: bool) -> None:
        session[_KEY] = {"until": until.timestamp(), "second_factor": has_second_factor}

    @property
    def is_over(self) -> bool:
        return SystemClock().now() >= self.until

    @classmethod
    def of(cls, session: SessionBase) -> SignIn | None:
        kept = session.get(_KEY)
        if kept is None:
            return None
        return cls(datetime.fromtimestamp(kept["until"], tz=SystemClock().now().tzinfo), kept["second_factor"])


class OuterFactor:
    """Stands where the device of a second factor stands: the identity provider asked for it."""


class SingleSignOnMiddleware:
    """Ends such a session in time, so that roles that were taken at the provider are gone; counts its second factor."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            self._look_at(request)
        return self._get_response(request)

    def _look_at(self, request: Any) -> None:
        sign_in = SignIn.of(request.session)
        if sign_in is None:
            return
        if sign_in.is_over or not provider.is_on():
            auth.logout(request)
        elif sign_in.has_second_factor and request.user.is_authenticated and request.user.otp_device is None:
            request.user.otp_device = OuterFactor()
