"""Accounts and roles in the administration: whatever is changed about one is an event of the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django_otp.plugins.otp_static import admin as _static_admin  # noqa: F401 - it registers what is taken back below
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp import admin as _totp_admin  # noqa: F401
from django_otp.plugins.otp_totp.models import TOTPDevice

from flxdr.core.errors import FlxdrError
from flxdr.operators import second_factor
from flxdr.operators.accounts import record_account, record_role
from flxdr.operators.forms import SignInForm
from flxdr.operators.models import ExternalIdentity
from flxdr.platform.admin import ReadOnlyAdmin
from flxdr.platform.auth.principal import actor_of

if TYPE_CHECKING:  # generic in Django's stubs only
    _ModelAdmin = admin.ModelAdmin[Any]
    _UserAdmin = UserAdmin[User]
else:
    _ModelAdmin = admin.ModelAdmin
    _UserAdmin = UserAdmin

admin.site.login_form = SignInForm
admin.site.login_template = "operators/login.html"
admin.site.unregister((User, Group, TOTPDevice, StaticDevice))  # devices hold secrets: nobody looks at them


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(ReadOnlyAdmin):
    list_display = ("user", "issuer", "subject", "created_at")
    list_select_related = ("user",)
    search_fields = ("user__username", "subject")


class RecordedAdmin(_ModelAdmin):
    """Records every step beside Django's own log, which the audit trail is not."""

    def record(self, event: str, obj: Any, actor: str, **data: Any) -> None:
        """Write the event, in the transaction of the change."""
        raise NotImplementedError

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.record("added", obj, actor_of(request))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.record("changed", obj, actor_of(request), changes=message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for row in queryset:
            self.record("removed", row, actor_of(request))
        return super().log_deletions(request, queryset)  # type: ignore[arg-type]  # a list of one, from the page of one

    @transaction.atomic
    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
        return super().response_action(request, *args, **kwargs)


@admin.register(User)
class OperatorAdmin(RecordedAdmin, _UserAdmin):
    """Django's page of accounts."""

    list_display = ("username", "is_active", "is_staff", "is_superuser", "second_factor", "last_login")
    actions = ("reset_second_factor",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        devices = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.annotate(has_device=Exists(devices))

    @admin.display(boolean=True, ordering="has_device")
    def second_factor(self, user: Any) -> bool:
        return bool(user.has_device)

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("otp_totp.delete_totpdevice")

    @admin.action(description="Reset the second factor: the device is lost", permissions=["reset"])
    def reset_second_factor(self, request: HttpRequest, rows: QuerySet[User]) -> None:
        for user in rows:
            if user == request.user:
                self.message_user(request, f"{user}: remove your own with a code, on its page.", messages.ERROR)
                continue
            try:
                second_factor.reset(user=user, actor=actor_of(request))
            except FlxdrError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self.message_user(request, f"{user}: has no second factor any more.", messages.SUCCESS)

    def record(self, event: str, obj: Any, actor: str, **data: Any) -> None:
        record_account(event, obj, actor=actor, **data)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        return super().user_change_password(request, id, form_url)


@admin.register(Group)
class RoleAdmin(RecordedAdmin, GroupAdmin):
    """Django's page of groups, which are the roles."""

    def record(self, event: str, obj: Any, actor: str, **data: Any) -> None:
        record_role(event, obj, actor=actor, **data)
