"""An operator's own second factor: set up, shown, renewed, removed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import django_otp
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_otp.util import random_hex

from flxdr.core.errors import FlxdrError
from flxdr.operators import second_factor
from flxdr.operators.forms import CodeForm
from flxdr.platform.auth.second_factor import OFF, REQUIRED

PENDING_KEY = "two_factor_key"
"""Where the session keeps a secret until a code shows that the operator's device has it."""


def _own_account(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """A page for staff about the own account, kept by no browser; it says so where the second factor is off."""

    @wraps(view)
    def answered(request: HttpRequest) -> HttpResponse:
        if settings.FLXDR.operator_2fa == OFF:
            return render(request, "operators/two_factor_off.html")
        return view(request)

    return staff_member_required(never_cache(answered))


@_own_account
@require_GET
def two_factor(request: HttpRequest) -> HttpResponse:
    """What comes next: setting the device up, showing a code in this session, or managing what there is."""
    user = _account(request)
    context: dict[str, Any] = {"form": CodeForm(), "required": settings.FLXDR.operator_2fa == REQUIRED}
    device = second_factor.device_of(user)
    if device is None:
        key = request.session.setdefault(PENDING_KEY, random_hex(20))
        context |= {"secret": second_factor.secret_text(key), "qr_code": second_factor.qr_code(user, key)}
        return render(request, "operators/two_factor_set_up.html", context)
    if not _is_verified(request):
        return render(request, "operators/two_factor_check.html", context)
    context |= {"device": device, "recovery_codes_left": second_factor.recovery_codes_left(user)}
    return render(request, "operators/two_factor.html", context)


@_own_account
@require_POST
def enrol(request: HttpRequest) -> HttpResponse:
    """Take the device that the session's secret was given to, and show the recovery codes this one time."""

    def act(user: User, code: str) -> HttpResponse:
        key = request.session.get(PENDING_KEY)
        if key is None:
            return redirect("two-factor")
        device, codes = second_factor.enrol(user=user, key=key, code=code)
        del request.session[PENDING_KEY]
        _verify_session(request, device)
        return _shown_once(request, codes)

    return _with_code(request, act)


@_own_account
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """Show a code in a session that was opened without one."""

    def act(user: User, code: str) -> HttpResponse:
        _verify_session(request, second_factor.check_code(user=user, code=code))
        return redirect("overview")

    return _with_code(request, act)


@_own_account
@require_POST
def renew(request: HttpRequest) -> HttpResponse:
    """New recovery codes, shown this one time."""
    return _with_code(
        request, lambda user, code: _shown_once(request, second_factor.renew_recovery_codes(user=user, code=code))
    )


@_own_account
@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """Give the second factor up, or make room for another device."""

    def act(user: User, code: str) -> HttpResponse:
        second_factor.remove(user=user, code=code)
        messages.success(request, _("The second factor is removed."))
        return redirect("two-factor")

    return _with_code(request, act)


def _with_code(request: HttpRequest, act: Callable[[User, str], HttpResponse]) -> HttpResponse:
    form = CodeForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Enter a code."))
        return redirect("two-factor")
    try:
        return act(_account(request), form.cleaned_data["code"])
    except FlxdrError as error:
        messages.error(request, str(error))
        return redirect("two-factor")


def _shown_once(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return render(request, "operators/recovery_codes.html", {"codes": codes})


def _verify_session(request: HttpRequest, device: Any) -> None:
    """From here on the session has its second factor; its old name is worth nothing any more."""
    request.session.cycle_key()
    django_otp.login(request, device)


def _account(request: HttpRequest) -> User:
    user: User = request.user  # type: ignore[assignment]  # staff only
    return user


def _is_verified(request: HttpRequest) -> bool:
    return bool(request.user.is_verified())  # type: ignore[union-attr]  # OTPMiddleware adds it
