"""The platform's rows in the admin: to read, not to change."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from flxdr.platform.models import AuditEvent, OutboxEvent, UsedToken


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows; nobody adds, changes or deletes them here, not even a superuser."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "actor", "subject")
    list_filter = ("kind", "at")
    search_fields = ("kind", "actor", "subject")


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ("event", "created_at", "sent_at", "attempts", "last_error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter),)
    list_select_related = ("event",)
    exclude = ("token",)


@admin.register(UsedToken)
class UsedTokenAdmin(ReadOnlyAdmin):
    list_display = ("issuer", "jti", "expires_at")
    search_fields = ("issuer",)
