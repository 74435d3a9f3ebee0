"""Rounds and campaigns: the operator starts and aborts them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse

from federation.admin.base import CLOCK, ServiceForm, ServiceFormAdmin, actor_of
from federation.aggregation import registry, weighting
from federation.models import Campaign, ConfirmationRequest, Participant, TrainingRound
from federation.protection.registry import PROTECTIONS
from federation.round_config import PPM
from federation.services import campaigns, rounds
from federation.services.round_privacy import MODES
from federation.services.round_setup import aggregation_choice
from flxdr.platform.configuration import integers
from models_ml.registry import MODELS

if TYPE_CHECKING:  # generic in Django's stubs only
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _TabularInline = admin.TabularInline


def _model_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted({*MODELS, settings.FLXDR.default_model})]


def _method_choices() -> list[tuple[str, str]]:
    return [("", f"as set ({settings.FLXDR.aggregation_method})"), *((name, name) for name in registry.METHODS)]


def _robust_choices() -> list[tuple[str, str]]:
    as_set = f"as set ({settings.FLXDR.aggregation_robust_method})"
    return [("", as_set), *((name, name) for name in registry.ROBUST_METHODS)]


def _params_help() -> str:
    """Which method takes which parameters."""
    taken = [
        f"{choice[registry.ROBUST_METHOD] or choice['method']}: {', '.join(map(_shown, choice['parameters']))}"
        for choice in registry.describe()
        if choice["parameters"]
    ]
    return f"name=integer, separated by commas. {'; '.join(taken)}."


def _shown(parameter: dict[str, Any]) -> str:
    return f"{parameter['name']} ({parameter['lowest']} to {parameter['highest']}, default {parameter['default']})"


class AggregationParamsField(forms.CharField):
    """Named integers as `FL_AGGREGATION_PARAMS` spells them."""

    parser = integers()

    def clean(self, value: Any) -> dict[str, int]:
        text = super().clean(value)
        try:
            named: dict[str, int] = self.parser.read(text) if text else {}
        except ValueError:
            raise forms.ValidationError(f"Allowed: {self.parser.allowed}.", code="invalid") from None
        return named


class PpmField(forms.DecimalField):
    """A positive number of at most six decimal places, in millionths."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=15, decimal_places=6, min_value=0, **kwargs)

    def clean(self, value: Any) -> int | None:
        number = super().clean(value)
        return None if number is None else int(number * PPM)


class StartForm(ServiceForm):
    """What a round and a campaign have in common."""

    model_name = forms.ChoiceField(label="model", choices=_model_choices)
    aggregation_method = forms.ChoiceField(choices=_method_choices, required=False)
    robust_method = forms.ChoiceField(choices=_robust_choices, required=False, help_text=f"what {registry.ROBUST} runs")
    aggregation_params = AggregationParamsField(required=False, help_text=_params_help())
    weighting = forms.ChoiceField(
        choices=[("", "as usual for the model"), *((how, how) for how in weighting.WEIGHTINGS)],
        required=False,
        help_text="of the means; robust methods weigh all alike",
    )
    protection = forms.ChoiceField(
        choices=[("", "as set (FL_PROTECTION)"), *((name, name) for name in PROTECTIONS)],
        required=False,
        help_text="what the coordinator sees of updates",
    )
    privacy_mode = forms.ChoiceField(
        label="noise protects",
        choices=[("", "as set (FL_PRIVACY_MODE)"), *((mode, mode) for mode in MODES)],
        required=False,
    )
    epsilon = PpmField(required=False, help_text="what a round alone may spend, up to FL_PRIVACY_EPSILON")
    clipping_norm = PpmField(required=False, help_text="up to FL_PRIVACY_CLIPPING_NORM")
    min_orgs = forms.IntegerField(label="organisations needed", min_value=1, required=False)
    timeout = forms.IntegerField(label="seconds to submit", min_value=1, required=False)


class StartRoundForm(StartForm):
    class Meta:
        model = TrainingRound
        exclude = tuple(field.name for field in TrainingRound._meta.fields)  # the form asks, the service fills


class StartCampaignForm(StartForm):
    rounds = forms.IntegerField(min_value=1, required=False, help_text="empty: FL_TRAINING_ROUNDS")

    class Meta:
        model = Campaign
        exclude = tuple(field.name for field in Campaign._meta.fields)  # the form asks, the service fills


_NOISE_FIELDS = {"privacy_mode": "mode", "epsilon": "epsilon_ppm", "clipping_norm": "clip_ppm"}


def _chosen(values: dict[str, Any]) -> dict[str, Any]:
    """What the operator filled in, as arguments of the services; the rest is left to the settings."""
    rest = dict(values)
    method, robust, params = (rest.pop(name) for name in ("aggregation_method", "robust_method", "aggregation_params"))
    noise = {name: rest.pop(field) for field, name in _NOISE_FIELDS.items()}
    filled = _filled(rest)
    if _filled(noise):
        filled["privacy"] = _filled(noise)
    return filled | aggregation_choice(method, robust, params)


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None)}


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
    add_form = StartRoundForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[TrainingRound]:
        # Counted for the rows of a page alone: joined and grouped, every part of every round would be.
        absent = (Participant.Status.EXPECTED, Participant.Status.MISSED)
        counts = {"expected": _parts_of_round(), "absent": _parts_of_round(status__in=absent)}
        rows: QuerySet[TrainingRound] = super().get_queryset(request)
        return rows.select_related("campaign").annotate(**counts)

    def start(self, request: HttpRequest, values: dict[str, Any]) -> TrainingRound:
        return rounds.start_round(actor=actor_of(request), clock=CLOCK, **_chosen(values))

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
    add_form = StartCampaignForm

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        done = Count("rounds", filter=Q(rounds__status=TrainingRound.Status.COMPLETED))
        rows: QuerySet[Campaign] = super().get_queryset(request)
        return rows.annotate(done=done)

    def start(self, request: HttpRequest, values: dict[str, Any]) -> Campaign:
        chosen = _chosen(values)
        return campaigns.start_campaign(
            actor=actor_of(request),
            model_name=chosen.pop("model_name"),
            rounds=chosen.pop("rounds", None),
            parameters=chosen,
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
