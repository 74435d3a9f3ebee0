"""What an operator fills in to start a round or a campaign: one form for the administration and for the pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from federation.aggregation import registry, weighting
from federation.protection.registry import PROTECTIONS
from federation.round_config import PPM
from federation.services.round_privacy import MODES
from federation.services.round_setup import aggregation_choice
from flxdr.platform.configuration import integers
from models_ml.registry import MODELS

Choices = list[tuple[str, Any]]


def _model_choices() -> Choices:
    return [(name, name) for name in sorted({*MODELS, settings.FLXDR.default_model})]


def _method_choices() -> Choices:
    as_set = _("as set (%(value)s)") % {"value": settings.FLXDR.aggregation_method}
    return [("", as_set), *((name, name) for name in registry.METHODS)]


def _robust_choices() -> Choices:
    as_set = _("as set (%(value)s)") % {"value": settings.FLXDR.aggregation_robust_method}
    return [("", as_set), *((name, name) for name in registry.ROBUST_METHODS)]


def _protection_choices() -> Choices:
    as_set = _("as set (%(value)s)") % {"value": settings.FLXDR.protection}
    return [("", as_set), *((name, name) for name in PROTECTIONS)]


def _mode_choices() -> Choices:
    as_set = _("as set (%(value)s)") % {"value": settings.FLXDR.privacy_mode}
    return [("", as_set), *((mode, mode) for mode in MODES)]


def parameters_taken() -> list[tuple[str, str]]:
    """Every method, or robust method, that takes parameters, and which ones."""
    return [
        (choice[registry.ROBUST_METHOD] or choice["method"], ", ".join(map(_shown, choice["parameters"])))
        for choice in registry.describe()
        if choice["parameters"]
    ]


def _params_help() -> str:
    """Which method takes which parameters."""
    taken = "; ".join(f"{method}: {parameters}" for method, parameters in parameters_taken())
    return f"name=integer, separated by commas. {taken}."


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


class StartRoundForm(forms.Form):
    """What a round and a campaign have in common; what is left empty comes from the settings."""

    model_name = forms.ChoiceField(label=_("Model"), choices=_model_choices)
    min_orgs = forms.IntegerField(
        label=_("Organisations needed"),
        min_value=1,
        required=False,
        help_text=_("Updates without which the round fails; empty: two, or as many as the aggregation needs."),
    )
    timeout = forms.IntegerField(
        label=_("Seconds to submit"), min_value=1, required=False, help_text=_("Empty: FL_FEDERATION_TIMEOUT.")
    )
    aggregation_method = forms.ChoiceField(label=_("Aggregation method"), choices=_method_choices, required=False)
    robust_method = forms.ChoiceField(
        label=_("Robust method"),
        choices=_robust_choices,
        required=False,
        help_text=_("What RobustAggregator runs."),
    )
    weighting = forms.ChoiceField(
        label=_("Weighting"),
        choices=[("", _("as usual for the model")), *((how, how) for how in weighting.WEIGHTINGS)],
        required=False,
        help_text=_("Of the means; robust methods weigh all alike."),
    )
    aggregation_params = AggregationParamsField(
        label=_("Aggregation parameters"), required=False, help_text=_params_help()
    )
    protection = forms.ChoiceField(
        label=_("Protection"),
        choices=_protection_choices,
        required=False,
        help_text=_("What the coordinator sees of updates."),
    )
    privacy_mode = forms.ChoiceField(label=_("Noise protects"), choices=_mode_choices, required=False)
    epsilon = PpmField(
        label=_("Epsilon"), required=False, help_text=_("What a round alone may spend, up to FL_PRIVACY_EPSILON.")
    )
    clipping_norm = PpmField(label=_("Clipping norm"), required=False, help_text=_("Up to FL_PRIVACY_CLIPPING_NORM."))

    def choices(self) -> dict[str, Any]:
        """What the operator filled in, as arguments of the services; the rest is left to the settings."""
        return chosen(self.cleaned_data)


class StartCampaignForm(StartRoundForm):
    """A campaign: so many rounds, one after the other."""

    rounds = forms.IntegerField(
        label=_("Rounds"), min_value=1, required=False, help_text=_("Empty: FL_TRAINING_ROUNDS.")
    )


_NOISE_FIELDS = {"privacy_mode": "mode", "epsilon": "epsilon_ppm", "clipping_norm": "clip_ppm"}

FIELD_OF = {
    "min_orgs_required": "min_orgs",
    "privacy.mode": "privacy_mode",
    "privacy.epsilon_ppm": "epsilon",
    "privacy.clip_ppm": "clipping_norm",
    "timeout": "timeout",
    "weighting": "weighting",
    "rounds": "rounds",
}
"""Which field of the form a refusal of the services is about, by the name that the refusal carries."""


def chosen(values: dict[str, Any]) -> dict[str, Any]:
    """A form's values as arguments of the services; the empty ones are left out."""
    rest = dict(values)
    method, robust, params = (rest.pop(name) for name in ("aggregation_method", "robust_method", "aggregation_params"))
    noise = {name: rest.pop(field) for field, name in _NOISE_FIELDS.items()}
    filled = _filled(rest)
    if _filled(noise):
        filled["privacy"] = _filled(noise)
    return filled | aggregation_choice(method, robust, params)


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None)}
