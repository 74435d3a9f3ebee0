"""The administration over a federation with every state: every model, every list, every row, and nothing to falsify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import ModelAdmin, site
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from flxdr.env import Env
from flxdr.platform.admin import ReadOnlyAdmin
from ledger.models import AppendOnly
from tests.conftest import SentTasks
from tests.support.showcase import SHOWN, Showcase

OURS = ("federation", "ledger", "notifications", "platform", "privacy")
MODELS = [model for label in OURS for model in apps.get_app_config(label).get_models()]
INNER = {"TreeNode"}
"""Hashes of inner nodes of the log's tree: derived from the blocks, and nothing that a person reads."""

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator() -> Client:
    """A superuser."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def url(model: Any, page: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


def test_every_model_is_registered() -> None:
    assert {model.__name__ for model in MODELS if not site.is_registered(model)} <= INNER


@pytest.mark.parametrize("model", [m for m in MODELS if site.is_registered(m)], ids=lambda model: model.__name__)
def test_not_even_a_superuser_changes_or_deletes_a_row(model: Any) -> None:
    registered: ModelAdmin[Any] = site.get_model_admin(model)
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    assert isinstance(registered, ReadOnlyAdmin)
    assert not registered.has_change_permission(request)
    assert not registered.has_delete_permission(request)
    if issubclass(model, AppendOnly):
        assert not registered.has_add_permission(request)


def test_every_list_and_row_opens_and_leads_to_its_page(
    administrator: Client, sent_tasks: SentTasks, env: Callable[..., Env]
) -> None:
    env(**SHOWN)
    Showcase().build()
    answers: dict[str, int] = {}
    shown = 0
    for model in filter(site.is_registered, MODELS):
        registered = site.get_model_admin(model)
        search = "?q=a" if registered.search_fields else ""
        answers[url(model, "changelist") + search] = administrator.get(url(model, "changelist") + search).status_code
        row = model._default_manager.first()
        if row is None:
            continue
        shown += 1
        answers[url(model, "change", row.pk)] = administrator.get(url(model, "change", row.pk)).status_code
        page = registered.get_view_on_site_url(row)
        if page is not None:
            answers[page] = administrator.get(page).status_code
        refused = administrator.post(url(model, "delete", row.pk), {"post": "yes"})
        assert refused.status_code == 403, f"deleting {row!r}"
    assert {path: status for path, status in answers.items() if status != 200} == {}
    assert shown > 15
