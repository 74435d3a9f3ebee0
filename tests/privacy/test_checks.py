"""System checks of the privacy settings, and the admin that only shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import RequestFactory

from privacy.checks import check_privacy_settings
from privacy.models import BudgetAccount, BudgetEntry


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"privacy_calibration": "classic"}, []),
        ({"privacy_calibration": "classic", "privacy_epsilon": 1.5}, ["privacy.E001"]),
        ({"privacy_mode": "record"}, ["privacy.W002"]),
        ({"privacy_mode": "record", "default_model": "edge-classifier"}, []),
        ({"privacy_mode": "organization"}, ["privacy.W001"]),
        ({"privacy_mode": "record", "default_model": "edge-classifier", "privacy_epsilon": 0.003}, ["privacy.E002"]),
    ],
)
def test_settings_that_do_not_hold_are_told(
    env: Callable[..., Any], values: dict[str, Any], expected: list[str]
) -> None:
    env(**values)
    messages = check_privacy_settings(app_configs=None)
    assert [message.id for message in messages] == expected
    assert all(message.hint for message in messages)


@pytest.mark.parametrize("model", [BudgetAccount, BudgetEntry])
def test_the_admin_shows_and_changes_nothing(model: type, rf: RequestFactory) -> None:
    model_admin = admin.site._registry[model]
    request = rf.get("/")
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)
