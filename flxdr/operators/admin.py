"""Accounts in the administration: whatever is changed about one is an event of the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from flxdr.operators.accounts import record_account

if TYPE_CHECKING:  # generic in Django's stubs only
    _UserAdmin = UserAdmin[User]
else:
    _UserAdmin = UserAdmin

admin.site.unregister(User)


@admin.register(User)
class OperatorAdmin(_UserAdmin):
    """Django's page of accounts, whose every step is recorded beside Django's own log, which the trail is not."""

    list_display = ("username", "is_active", "is_staff", "is_superuser", "last_login")

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        record_account("added", obj, actor=_actor(request))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        record_account("changed", obj, actor=_actor(request), changes=message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for user in queryset:
            record_account("removed", user, actor=_actor(request))
        return super().log_deletions(request, queryset)  # type: ignore[arg-type]  # a list of one, from the page of one

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        return super().user_change_password(request, id, form_url)

    @transaction.atomic
    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
        return super().response_action(request, *args, **kwargs)


def _actor(request: HttpRequest) -> str:
    return f"operator:{request.user.get_username()}"
