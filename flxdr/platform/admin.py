"""The platform's rows in the admin: to read, not to change."""

from __future__ import annotations

from operator import attrgetter
from typing import ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse

from flxdr.platform.models import AuditEvent, OutboxEvent, TelemetrySender, UsedToken, WorkerHeartbeat


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows; nobody adds, changes or deletes them here, not even a superuser.

    Attributes:
        page: the operator's page about a row, by the name of its route, and the row's fields that the route takes;
            None where there is none. The administration links to it.
    """

    page: ClassVar[tuple[str, ...] | None] = None

    def view_on_site(self, row: models.Model) -> str | None:
        """Where the dashboard shows the row; None if one of the fields is empty."""
        if self.page is None:
            return None
        route, *fields = self.page
        values = [attrgetter(field)(row) for field in fields]
        return None if None in values else reverse(route, args=values)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    page = ("audit:index",)
    list_display = ("at", "kind", "actor", "subject")
    list_filter = ("kind", "at")
    search_fields = ("kind", "actor", "subject")


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ("event", "created_at", "sent_at", "refused_at", "attempts", "last_error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter), ("refused_at", admin.EmptyFieldListFilter))
    list_select_related = ("event",)


@admin.register(TelemetrySender)
class TelemetrySenderAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "lease_until", "failures")
    exclude = ("token",)


@admin.register(UsedToken)
class UsedTokenAdmin(ReadOnlyAdmin):
    list_display = ("issuer", "jti", "expires_at")
    search_fields = ("issuer",)


@admin.register(WorkerHeartbeat)
class WorkerHeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("worker", "at")
