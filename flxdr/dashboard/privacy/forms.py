"""The settings that an operator may try out; they are read and refused as the environment's are."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from flxdr.env import Env
from flxdr.platform.configuration import Variable, variables_of
from privacy.dp.composition import PPM
from privacy.mechanism import NONE, ORGANIZATION, RECORD
from privacy.selectors import NoiseGoal, RecordPlan

_VARIABLES = variables_of(Env)
MODES = (
    (RECORD, _("record: every single record")),
    (ORGANIZATION, _("organisation: all that one holds")),
    (NONE, _("none: no noise, no guarantee")),
)


class SettingField(forms.CharField):
    """A text that the environment variable's own parser reads."""

    def __init__(self, attribute: str, **kwargs: Any) -> None:
        self.variable: Variable = _VARIABLES[attribute]
        super().__init__(max_length=30, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return self.variable.parser.read(text)
        except ValueError as error:
            raise forms.ValidationError(
                gettext("%(allowed)s, please.") % {"allowed": self.variable.parser.allowed}, code="invalid"
            ) from error


class SettingsForm(forms.Form):
    """The settings of now, to be changed and looked at."""

    privacy_mode = forms.ChoiceField(label=_("What noise protects"), choices=MODES)
    privacy_epsilon = SettingField("privacy_epsilon", label=_("Total ε of an organisation"))
    training_rounds = SettingField("training_rounds", label=_("Rounds that it is to last for"))
    privacy_clipping_norm = SettingField("privacy_clipping_norm", label=_("Clipping norm"))
    privacy_sampling_rate = SettingField("privacy_sampling_rate", label=_("Sampling rate of records"))

    def __init__(self, data: Any = None) -> None:
        now = {name: _as_text(getattr(settings.FLXDR, name)) for name in self.base_fields}
        super().__init__(data, initial=now, label_suffix="")

    @property
    def goal(self) -> NoiseGoal:
        """What the noise would be to do."""
        chosen = self.cleaned_data
        return NoiseGoal(
            mode=chosen["privacy_mode"],
            budget_ppm=int(_ppm(chosen["privacy_epsilon"])),
            rounds=chosen["training_rounds"],
            moments=1,
            clip_ppm=math.ceil(_ppm(chosen["privacy_clipping_norm"])),
        )

    @property
    def plan(self) -> RecordPlan:
        """How training would look at single records."""
        sampling_ppm = int(_ppm(self.cleaned_data["privacy_sampling_rate"]))
        return RecordPlan(clip_ppm=self.goal.clip_ppm, sampling_ppm=sampling_ppm, steps=-(-PPM // sampling_ppm))

    @property
    def changes(self) -> list[tuple[str, str]]:
        """The environment variables that would be set, with their values."""
        return [
            (_VARIABLES[name].name, _as_text(value))
            for name, value in self.cleaned_data.items()
            if value != getattr(settings.FLXDR, name)
        ]


def _as_text(value: Any) -> str:
    return format(value, "g") if isinstance(value, float) else str(value)


def _ppm(value: float) -> Decimal:
    return Decimal(repr(value)) * PPM
