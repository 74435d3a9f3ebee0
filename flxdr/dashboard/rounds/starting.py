"""Starting a round or a campaign: a form, what would follow from it for everybody, and the start itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.forms import BoundField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from federation.forms import FIELD_OF, StartCampaignForm, StartRoundForm, parameters_taken
from federation.services.campaigns import outlook_on_campaign, start_campaign
from federation.services.round_plan import Outlook, outlook_on_round
from federation.services.rounds import start_round
from flxdr.core.errors import FlxdrError
from flxdr.dashboard.access import CLOCK, page
from flxdr.platform.auth.principal import actor_of

FORECASTS_SHOWN = 50
_GROUPS = (
    (gettext_lazy("What and with whom"), ("model_name", "rounds", "min_orgs", "timeout")),
    (gettext_lazy("Aggregation"), ("aggregation_method", "robust_method", "weighting", "aggregation_params")),
    (gettext_lazy("Protection and noise"), ("protection", "privacy_mode", "epsilon", "clipping_norm")),
)


@dataclass(frozen=True)
class Kind:
    """A round or a campaign: its form, how it is looked ahead to, and how it is started.

    Attributes:
        start: answers with the id of the round that runs from now on.
    """

    name: str
    form: type[StartRoundForm]
    look: Callable[[dict[str, Any]], Outlook]
    start: Callable[[dict[str, Any], str], str]


def _look_at_round(choices: dict[str, Any]) -> Outlook:
    return outlook_on_round(clock=CLOCK, **choices)


def _start_round(choices: dict[str, Any], actor: str) -> str:
    return start_round(actor=actor, clock=CLOCK, **choices).round_id


def _of_campaign(choices: dict[str, Any]) -> dict[str, Any]:
    rest = dict(choices)
    named = {name: rest.pop(name, None) for name in ("model_name", "rounds")}
    return {**named, "parameters": rest}


def _look_at_campaign(choices: dict[str, Any]) -> Outlook:
    return outlook_on_campaign(clock=CLOCK, **_of_campaign(choices))


def _start_campaign(choices: dict[str, Any], actor: str) -> str:
    campaign = start_campaign(actor=actor, clock=CLOCK, **_of_campaign(choices))
    return campaign.rounds.latest("id").round_id


ROUND = Kind("round", StartRoundForm, _look_at_round, _start_round)
CAMPAIGN = Kind("campaign", StartCampaignForm, _look_at_campaign, _start_campaign)


@page("federation.add_traininground")
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """Start a round."""
    return _answer(request, ROUND)


@page("federation.add_traininground")
@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What starting a round would do, alone: for the script that renews it."""
    return _preview(request, ROUND)


@page("federation.add_campaign")
@require_http_methods(["GET", "POST"])
def start_many(request: HttpRequest) -> HttpResponse:
    """Start a campaign."""
    return _answer(request, CAMPAIGN)


@page("federation.add_campaign")
@require_POST
def preview_many(request: HttpRequest) -> HttpResponse:
    """What starting a campaign would do, alone: for the script that renews it."""
    return _preview(request, CAMPAIGN)


def _answer(request: HttpRequest, kind: Kind) -> HttpResponse:
    if request.method != "POST":
        model = request.GET.get("model") or _default_model(kind)
        return _page(
            request, kind, kind.form(initial={"model_name": model}, label_suffix=""), kind.look({"model_name": model})
        )
    form = kind.form(request.POST, label_suffix="")
    if not form.is_valid():
        return _page(request, kind, form, None)
    choices = form.choices()
    if "preview" in request.POST:
        return _page(request, kind, form, kind.look(choices))
    try:
        round_id = kind.start(choices, actor_of(request))
    except FlxdrError as error:
        _tell(form, error)
        return _page(request, kind, form, kind.look(choices))
    messages.success(request, _("Started: the organisations are asked for their updates."))
    return redirect("rounds:detail", round_id)


def _preview(request: HttpRequest, kind: Kind) -> HttpResponse:
    form = kind.form(request.POST, label_suffix="")
    outlook = kind.look(form.choices()) if form.is_valid() else None
    return render(request, "dashboard/rounds/outlook.html", _shown(form, outlook))


def _page(request: HttpRequest, kind: Kind, form: StartRoundForm, outlook: Outlook | None) -> HttpResponse:
    context = {
        "kind": kind.name,
        "groups": _grouped(form),
        "parameters_taken": parameters_taken(),
        **_shown(form, outlook),
    }
    return render(request, "dashboard/rounds/start.html", context)


def _shown(form: StartRoundForm, outlook: Outlook | None) -> dict[str, Any]:
    forecasts = outlook.forecasts if outlook is not None else []
    return {
        "form": form,
        "outlook": outlook,
        "forecasts": forecasts[:FORECASTS_SHOWN],
        "unshown": max(0, len(forecasts) - FORECASTS_SHOWN),
        "short": sum(each.runs_out for each in forecasts),
    }


def _grouped(form: StartRoundForm) -> Sequence[tuple[Any, Sequence[BoundField]]]:
    return [(title, [form[name] for name in names if name in form.fields]) for title, names in _GROUPS]


def _default_model(kind: Kind) -> str:
    return str(kind.form().fields["model_name"].choices[0][0])  # type: ignore[attr-defined]  # a choice field


def _tell(form: StartRoundForm, error: FlxdrError) -> None:
    """Say what the service refused, at the field that it is about if there is one."""
    field = FIELD_OF.get(str(error.fields.get("field")))
    form.add_error(field if field in form.fields else None, str(error))
