"""A browser session that is one organisation's: no user of Django, an hour at most, over as soon as it is suspended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from federation.models import Organization
from flxdr.core.clock import SystemClock

CLOCK = SystemClock()
LIFETIME = timedelta(hours=1)
_ORGANIZATION, _UNTIL = "member_org_id", "member_until"

View = Callable[..., HttpResponseBase]


def open_session(request: HttpRequest, organization: Organization) -> None:
    """Make the browser's session the organisation's; whoever was signed in with it before is not any more."""
    logout(request)  # a new key as well
    request.session[_ORGANIZATION] = organization.org_id
    request.session[_UNTIL] = (CLOCK.now() + LIFETIME).timestamp()
    request.session.set_expiry(int(LIFETIME.total_seconds()))


def close_session(request: HttpRequest) -> None:
    """Sign out."""
    request.session.flush()


def member_of(request: HttpRequest) -> Organization | None:
    """The organisation whose session it is, if it still is one's; an operator's session is nobody's."""
    if request.user.is_authenticated or request.session.get(_UNTIL, 0) <= CLOCK.now().timestamp():
        return None
    org_id = request.session.get(_ORGANIZATION, "")
    return Organization.objects.filter(org_id=org_id, status=Organization.Status.ACTIVE).first()


def member_page(view: View) -> View:
    """A view for a signed-in organisation, which it gets as its second argument; others are told how to sign in.

    Nothing of it is kept by a browser: the next person at the machine sees nothing.
    """

    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        organization = member_of(request)
        if organization is None:
            answer: HttpResponseBase = render(request, "dashboard/member/closed.html", status=403)
            if _ORGANIZATION in request.session and not request.user.is_authenticated:
                close_session(request)
        else:
            answer = view(request, organization, *args, **kwargs)
        add_never_cache_headers(answer)
        return answer

    return answered
