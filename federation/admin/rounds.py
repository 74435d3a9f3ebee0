"""Rounds and campaigns: the operator starts and aborts them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse

from federation.admin.base import CLOCK, ServiceForm, ServiceFormAdmin
from federation.forms import StartCampaignForm, StartRoundForm, chosen
from federation.models import Campaign, ConfirmationRequest, Participant, TrainingRound
from federation.services import campaigns, rounds
from flxdr.platform.auth.principal import actor_of

if TYPE_CHECKING:  # generic in Django's stubs only
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _TabularInline = admin.TabularInline


class StartRoundAdminForm(StartRoundForm, ServiceForm):
    class Meta:
        model = TrainingRound
        exclude = tuple(field.name for field in TrainingRound._meta.fields)  # the form asks, the service fills


class StartCampaignAdminForm(StartCampaignForm, ServiceForm):
    class Meta:
        model = Campaign
        exclude = tuple(field.name for field in Campaign._meta.fields)  # the form asks, the service fills


def _parts_of_round(**which: Any) -> Coalesce:
    """How many parts a round has, as a column."""
    parts = Participant.objects.filter(training_round=OuterRef("pk"), **which).order_by().values("training_round")
    return Coalesce(Subquery(parts.annotate(count=Count("pk")).values("count")), 0)


class ParticipantInline(_TabularInline):
    model = Participant
    can_delete = False
    extra = 0
    fields = ("organization", "status", "update_norm", "cosine", "distance", "anomaly_score", "left_out_reason")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Participant]:
        return super().get_queryset(request).select_related("organization", "training_round")


@admin.register(TrainingRound)
class TrainingRoundAdmin(ServiceFormAdmin):
    page = ("rounds:detail", "round_id")
    list_display = (
        "round_id",
        "model_name",
        "number",
        "status",
        "submitted",
        "aggregation_method",
        "convergence_metric",
        "started_at",
        "failure_code",
    )
    list_filter = ("status", "model_name", "aggregation_method", "started_at")
    search_fields = ("round_id", "config_hash")
    readonly_fields = ("configuration",)
    exclude = ("token", "lease_until")
    inlines = (ParticipantInline,)
    actions = ("abort",)
    add_form = StartRoundAdminForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrainingRound]:
        # Counted for the rows of a page alone: joined and grouped, every part of every round would be.
        absent = (Participant.Status.EXPECTED, Participant.Status.MISSED)
        counts = {"expected": _parts_of_round(), "absent": _parts_of_round(status__in=absent)}
        rows: QuerySet[TrainingRound] = super().get_queryset(request)
        return rows.select_related("campaign").annotate(**counts)

    def start(self, request: HttpRequest, values: dict[str, Any]) -> TrainingRound:
        return rounds.start_round(actor=actor_of(request), clock=CLOCK, **chosen(values))

    @admin.display(description="submitted")
    def submitted(self, training_round: Any) -> str:
        return f"{training_round.expected - training_round.absent} of {training_round.expected}"

    @admin.display(description="configuration (what config_hash is the hash of)")
    def configuration(self, training_round: TrainingRound) -> str:
        return json.dumps(json.loads(bytes(training_round.config)), indent=2)

    def subject_of(self, row: TrainingRound) -> str:
        return row.round_id

    @admin.action(description="Abort", permissions=["operate"])
    def abort(self, request: HttpRequest, rows: QuerySet[TrainingRound]) -> HttpResponse | None:
        return self.ask(request, rows, ConfirmationRequest.Action.ABORT_ROUND)


@admin.register(Campaign)
class CampaignAdmin(ServiceFormAdmin):
    page = ("rounds:index",)
    list_display = (
        "id",
        "model_name",
        "status",
        "completed",
        "rounds_total",
        "created_at",
        "finished_at",
        "stop_reason",
    )
    list_filter = ("status", "model_name")
    search_fields = ("model_name", "stop_reason")
    actions = ("abort",)
    add_form = StartCampaignAdminForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        done = Count("rounds", filter=Q(rounds__status=TrainingRound.Status.COMPLETED))
        rows: QuerySet[Campaign] = super().get_queryset(request)
        return rows.annotate(done=done)

    def start(self, request: HttpRequest, values: dict[str, Any]) -> Campaign:
        choices = chosen(values)
        return campaigns.start_campaign(
            actor=actor_of(request),
            model_name=choices.pop("model_name"),
            rounds=choices.pop("rounds", None),
            parameters=choices,
            clock=CLOCK,
        )

    @admin.display(description="rounds completed")
    def completed(self, campaign: Any) -> int:
        return int(campaign.done)

    def subject_of(self, row: Campaign) -> str:
        return str(row.pk)

    @admin.action(description="Abort, with the open round", permissions=["operate"])
    def abort(self, request: HttpRequest, rows: QuerySet[Campaign]) -> HttpResponse | None:
        return self.ask(request, rows, ConfirmationRequest.Action.ABORT_CAMPAIGN)
