"""Organisations: the operator approves, suspends and readmits them, and lets them enrol."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from federation.admin.base import CLOCK, GuardedAdmin, ServiceForm, ServiceFormAdmin
from federation.models import ConfirmationRequest, EnrolmentToken, Organization
from federation.services import enrolment, enrolment_tokens
from flxdr.platform.auth.principal import actor_of

Action = ConfirmationRequest.Action


class EnrolmentTokenForm(ServiceForm):
    organization = forms.SlugField(label="org_id", max_length=64)
    days = forms.IntegerField(min_value=1, max_value=90, initial=7, help_text="days until it expires")

    class Meta:
        model = EnrolmentToken
        exclude = tuple(field.name for field in EnrolmentToken._meta.fields)  # the form asks, the service fills


@admin.register(Organization)
class OrganizationAdmin(GuardedAdmin):
    page = ("organizations:detail", "org_id")
    list_display = (
        "org_id",
        "name",
        "status",
        "key_status",
        "registered_at",
        "last_seen_at",
        "accepted_count",
        "left_out_count",
        "missed_count",
        "rejected_count",
    )
    list_filter = ("status", "key_status")
    search_fields = ("org_id", "name")
    actions = ("approve", "decline", "suspend", "readmit")

    def subject_of(self, row: Organization) -> str:
        return row.org_id

    @admin.action(description="Approve: let them take part", permissions=["operate"])
    def approve(self, request: HttpRequest, rows: QuerySet[Organization]) -> None:
        actor = actor_of(request)
        self.operate(
            request, rows, lambda row: enrolment.approve(org_id=row.org_id, actor=actor, clock=CLOCK), "approved"
        )

    @admin.action(description="Decline: turn a pending one away", permissions=["operate"])
    def decline(self, request: HttpRequest, rows: QuerySet[Organization]) -> None:
        actor = actor_of(request)
        self.operate(
            request,
            rows,
            lambda row: enrolment.decline(org_id=row.org_id, reason="", actor=actor, clock=CLOCK),
            "declined",
        )

    @admin.action(description="Suspend: shut them out", permissions=["operate"])
    def suspend(self, request: HttpRequest, rows: QuerySet[Organization]) -> HttpResponse | None:
        return self.ask(request, rows, Action.SUSPEND)

    @admin.action(description="Readmit", permissions=["operate"])
    def readmit(self, request: HttpRequest, rows: QuerySet[Organization]) -> HttpResponse | None:
        return self.ask(request, rows, Action.READMIT)


@admin.register(EnrolmentToken)
class EnrolmentTokenAdmin(ServiceFormAdmin):
    page = ("organizations:index",)
    list_display = ("org_id", "created_at", "expires_at", "used_at")
    search_fields = ("org_id",)
    add_form = EnrolmentTokenForm
    actions = ("revoke",)

    @admin.action(description="Revoke: make those that nobody used worthless", permissions=["operate"])
    def revoke(self, request: HttpRequest, rows: QuerySet[EnrolmentToken]) -> None:
        actor = actor_of(request)
        self.operate(
            request,
            rows,
            lambda row: enrolment_tokens.revoke_enrolment_token(token_id=row.pk, actor=actor, clock=CLOCK),
            "revoked",
        )

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request)  # who may give tokens out may take them back

    def start(self, request: HttpRequest, values: dict[str, Any]) -> EnrolmentToken:
        org_id = values["organization"]
        secret = enrolment_tokens.create_enrolment_token(
            org_id=org_id, lifetime=timedelta(days=values["days"]), actor=actor_of(request), clock=CLOCK
        )
        self.message_user(request, f"The enrolment token of {org_id}, shown only this once: {secret}", messages.WARNING)
        return EnrolmentToken.objects.filter(org_id=org_id).latest("pk")
