"""Sign-ins in the audit trail."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import transaction
from django.http import HttpRequest

from flxdr.operators.accounts import LONGEST_SUBJECT
from flxdr.operators.locks import LOCKED_OUT
from flxdr.platform.audit import record_event


def connect() -> None:
    user_logged_in.connect(_record_sign_in, dispatch_uid="operators.signed_in")
    user_login_failed.connect(_record_failure, dispatch_uid="operators.sign_in_failed")
    user_locked_out.connect(_record_lock, dispatch_uid="operators.locked_out")


def _record_sign_in(*, user: User, **_: Any) -> None:
    with transaction.atomic():
        record_event(
            kind="operator.signed_in",
            actor=f"operator:{user.username}",
            subject=user.username[:LONGEST_SUBJECT],
            data=_how(user),
        )


def _how(user: User) -> dict[str, Any]:
    """With a second factor or without, and by which identity provider, if any."""
    with_factor = getattr(user, "otp_device", None) is not None or getattr(user, "has_outer_factor", False)
    issuer = getattr(user, "issuer", None)
    return {"second_factor": with_factor} | ({"issuer": issuer} if issuer else {})


def _record_failure(*, credentials: dict[str, Any], request: HttpRequest, **_: Any) -> None:
    """Of accounts that exist, and not once they are locked: strangers must not fill the trail."""
    name = str(credentials.get("username") or "")
    if _counted_failures(request) is None or not User.objects.filter(username=name).exists():
        return
    with transaction.atomic():
        record_event(kind="operator.sign_in_failed", actor="anonymous", subject=name[:LONGEST_SUBJECT], data={})


def _record_lock(*, request: HttpRequest, username: str | None, ip_address: str | None, **_: Any) -> None:
    """Once a lock: later attempts are refused without being counted."""
    if _counted_failures(request) != settings.AXES_FAILURE_LIMIT or not User.objects.filter(username=username).exists():
        return
    with transaction.atomic():
        record_event(
            kind=LOCKED_OUT,
            actor="anonymous",
            subject=str(username)[:LONGEST_SUBJECT],
            data={"address": ip_address},
        )


def _counted_failures(request: HttpRequest) -> int | None:
    """Which failure in a row this attempt is; None where the lock refused it uncounted. axes hears of attempts first:
    its receivers are connected when its signals are imported."""
    failures: int | None = getattr(request, "axes_failures_since_start", None)
    return failures
