"""Requests that wait for a second operator, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from federation.admin.base import CLOCK, OperatedAdmin
from federation.models import ConfirmationRequest
from federation.services import confirmations
from flxdr.platform.auth.principal import actor_of


@admin.register(ConfirmationRequest)
class ConfirmationRequestAdmin(OperatedAdmin):
    page = ("confirmations:index",)
    list_display = (
        "id",
        "action",
        "subject",
        "reason",
        "status",
        "requested_by",
        "requested_at",
        "expires_at",
        "decided_by",
        "decided_at",
    )
    list_filter = ("status", "action")
    search_fields = ("subject", "requested_by", "decided_by")
    actions = ("confirm", "cancel")

    @admin.action(description="Confirm: have it done now", permissions=["operate"])
    def confirm(self, request: HttpRequest, rows: QuerySet[ConfirmationRequest]) -> None:
        self._decide(request, rows, confirmations.confirm, "confirmed and done")

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, rows: QuerySet[ConfirmationRequest]) -> None:
        self._decide(request, rows, confirmations.cancel, "cancelled")

    def _decide(
        self, request: HttpRequest, rows: QuerySet[ConfirmationRequest], service: Callable[..., object], done: str
    ) -> None:
        actor = actor_of(request)
        self.operate(request, rows, lambda row: service(request_id=row.pk, actor=actor, clock=CLOCK), done)
