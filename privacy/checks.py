"""System checks of the privacy settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from models_ml.tasks import TASKS
from privacy import mechanism, selectors
from privacy.dp.calibration import CLASSIC_LIMIT
from privacy.errors import PrivacyParameterInvalid


@checks.register
def check_privacy_settings(*, app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Refuse a calibration that does not hold; say when noise will destroy models, or rounds be refused."""
    env = settings.FLXDR
    messages: list[checks.CheckMessage] = []
    if env.privacy_calibration == "classic" and env.privacy_epsilon > CLASSIC_LIMIT:
        messages.append(
            checks.Error(
                f"FL_PRIVACY_CALIBRATION=classic is not valid with FL_PRIVACY_EPSILON={env.privacy_epsilon:g}.",
                hint="Set FL_PRIVACY_CALIBRATION=analytic, or an epsilon of at most 1.",
                id="privacy.E001",
            )
        )
    if env.privacy_mode == mechanism.ORGANIZATION:
        messages.append(
            checks.Warning(
                "FL_PRIVACY_MODE=organization: with few organisations its noise destroys the model.",
                hint="Set FL_PRIVACY_MODE=record, which protects single records and costs little accuracy.",
                id="privacy.W001",
            )
        )
    if env.privacy_mode == mechanism.RECORD and env.default_model not in TASKS:
        messages.append(
            checks.Warning(
                f"FL_PRIVACY_MODE=record: no agent trains FL_DEFAULT_MODEL={env.default_model}: no round of it starts.",
                hint=f"Set FL_DEFAULT_MODEL to one of {', '.join(TASKS)}, or name one of them when starting rounds.",
                id="privacy.W002",
            )
        )
    if env.privacy_mode == mechanism.RECORD:
        messages += _unreachable_epsilon()
    return messages


def _unreachable_epsilon() -> list[checks.CheckMessage]:
    try:
        selectors.planned_mechanism(selectors.training_plan())
    except PrivacyParameterInvalid as error:
        return [
            checks.Error(
                f"No noise makes training keep FL_PRIVACY_EPSILON: {error.detail}.",
                hint=f"Set FL_PRIVACY_EPSILON to {error.expected}, or FL_PRIVACY_SAMPLING_RATE=1.",
                id="privacy.E002",
            )
        ]
    return []
