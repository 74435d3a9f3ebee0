"""The way to the identity provider and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib import auth
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from flxdr.core.clock import SystemClock
from flxdr.core.errors import FlxdrError
from flxdr.operators.errors import IdentityRefused
from flxdr.operators.sso import provider
from flxdr.operators.sso.session import SignIn

_log = structlog.get_logger("flxdr.sso")


@method_decorator(never_cache, name="dispatch")
class _SingleSignOnView:
    """Not there where single sign-on is off; says on a page of its own why a sign-in ends."""

    get_settings = staticmethod(provider.setting)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not provider.is_on():
            raise Http404
        try:
            answer: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        except FlxdrError as error:
            _log.warning("sign-in refused", code=error.code, reason=str(error))
            answer = render(request, "operators/sso_refused.html", {"error": error}, status=error.status)
            answer._has_been_logged = True  # type: ignore[attr-defined]  # Django would log the address, and so the code
        return answer


class BeginView(_SingleSignOnView, OIDCAuthenticationRequestView):
    """Sends the browser to the provider, with a state, a nonce and a PKCE challenge that the session keeps."""

    def __init__(self, **kwargs: Any) -> None:
        """Without asking the provider: errors are told by `dispatch`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        OIDCAuthenticationRequestView.__init__(self)
        answer: HttpResponse = super().get(request)
        return answer


class CallbackView(_SingleSignOnView, OIDCAuthenticationCallbackView):
    """Takes what the provider sends the browser back with."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Refuse what this session did not begin; the library's view takes the rest.

        Raises:
            IdentityRefused: saying why.
        """
        states = request.session.get("oidc_states", {})
        if request.GET.get("state") not in states:
            raise IdentityRefused(
                "this sign-in was not begun in this browser, or is used up", action="Begin again on the sign-in page."
            )
        if "code" not in request.GET:
            del request.session["oidc_states"][request.GET["state"]]
            request.session.modified = True
            raise IdentityRefused(f"the identity provider says: {request.GET.get('error', 'nothing')[:100]}")
        answer: HttpResponse = super().get(request)
        return answer

    def login_success(self) -> HttpResponse:
        target = self.success_url
        auth.login(self.request, self.user)
        SignIn.begin(
            self.request.session,
            until=SystemClock().now() + timedelta(minutes=settings.FLXDR.oidc_session_minutes),
            has_second_factor=self.user.has_outer_factor,
        )
        return redirect(target)

    def login_failure(self) -> HttpResponse:
        raise IdentityRefused("the identity provider's answer does not hold")
