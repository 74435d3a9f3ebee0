"""The ledger in the admin: everything to see, nothing to change, superusers included."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from ledger.models import Approval, Block, LateApproval, Proposal, SignerKey, VerificationPass
from tests.ledger.members import Consortium

MODELS: list[Any] = [Block, Approval, LateApproval, SignerKey, Proposal, VerificationPass]


@pytest.fixture
def root(consortium: Consortium) -> Client:
    consortium.admit("org-a", "org-b", "org-c", "org-d")
    consortium.approve(consortium.release(1, ["org-a", "org-b", "org-c", "org-d"]), "org-d")
    consortium.reject(consortium.propose_release(2, ["org-a", "org-b"]), "org-a")
    call_command("verify_chain", "--json")
    client = Client()
    client.force_login(
        get_user_model().objects.create_superuser("root", password="x"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_details_show(root: Client, model: Any) -> None:
    name = f"admin:ledger_{model._meta.model_name}"
    listed = root.get(reverse(f"{name}_changelist"), {"q": "org"})
    assert listed.status_code == 200
    row = model.objects.order_by("pk").last()
    detail = root.get(reverse(f"{name}_change", args=[row.pk]))
    assert detail.status_code == 200
    assert 'name="_save"' not in detail.content.decode()


@pytest.mark.parametrize("model", MODELS)
def test_nothing_changes_them(root: Client, model: Any) -> None:
    name = f"admin:ledger_{model._meta.model_name}"
    row = model.objects.order_by("pk").last()
    before = list(model.objects.order_by("pk").values())
    for url in (
        reverse(f"{name}_add"),
        reverse(f"{name}_change", args=[row.pk]),
        reverse(f"{name}_delete", args=[row.pk]),
    ):
        assert root.post(url, {"post": "yes"}).status_code == 403
    listed = root.post(reverse(f"{name}_changelist"), {"action": "delete_selected", "_selected_action": [row.pk]})
    assert "delete_selected" not in listed.content.decode()
    assert list(model.objects.order_by("pk").values()) == before


def test_every_model_is_registered() -> None:
    assert all(admin.site.is_registered(model) for model in MODELS)


def test_a_block_shows_its_signed_bytes(root: Client) -> None:
    block = Block.objects.order_by("-height").first()
    assert block is not None
    page = root.get(reverse("admin:ledger_block_change", args=[block.pk])).content.decode()
    assert "round-1-abc" in page
    assert "coordinator, org-a, org-b, org-c" in page
