"""System checks of the privacy settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from privacy import mechanism
from privacy.dp.calibration import CLASSIC_LIMIT


@checks.register
def check_privacy_settings(*, app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Refuse a calibration that does not hold; say when rounds will be refused for want of their mechanism."""
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
    if env.privacy_mode != mechanism.NONE:
        messages.append(
            checks.Warning(
                f"FL_PRIVACY_MODE={env.privacy_mode}: this version draws no noise, so every round will be refused.",
                hint=mechanism.INSTEAD,
                id="privacy.W001",
            )
        )
    return messages
