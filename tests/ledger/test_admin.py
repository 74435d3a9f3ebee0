"""The ledger in the admin: everything to see, nothing to change, superusers included."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from ledger.models import Approval, Block, GovernanceEntry, LateApproval, Proposal, SignerKey, VerificationPass
from tests.ledger.members import Consortium

MODELS: list[Any] = [Block, Approval, GovernanceEntry, LateApproval, SignerKey, Proposal, VerificationPass]


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


def act(client: Client, model: str, action: str, row: Any, **fields: Any) -> Any:
    body = {"action": action, "_selected_action": [row.pk], **fields}
    return client.post(reverse(f"admin:ledger_{model}_changelist"), body)


def test_an_operator_proposes_a_revocation_with_a_reason(root: Client) -> None:
    key = SignerKey.objects.get(org_id="org-a")
    before = Proposal.objects.count()
    asked = act(root, "signerkey", "revoke", key)
    assert asked.status_code == 200
    assert "Propose to take this key from its organisation" in asked.content.decode()
    assert Proposal.objects.count() == before
    missing = act(root, "signerkey", "revoke", key, confirmed="yes", reason="")
    assert (missing.status_code, Proposal.objects.count()) == (200, before)
    assert (
        act(root, "signerkey", "revoke", key, confirmed="yes", reason="stolen", compromised_since="3").status_code
        == 302
    )
    proposal = Proposal.objects.get(subject=f"revoke org-a {key.key_id}")
    (entry,) = proposal.content["actions"]
    assert (entry["compromised_since"], entry["reason"]) == (3, "stolen")


def test_an_operator_proposes_a_withdrawal(root: Client) -> None:
    block = Block.objects.get(type="release")
    assert act(root, "block", "withdraw", block, confirmed="yes", reason="it misses scans").status_code == 302
    assert Proposal.objects.filter(subject="withdraw_release global v1").count() == 1


@pytest.mark.parametrize(
    ("model", "action", "kind"), [("signerkey", "revoke", SignerKey), ("block", "withdraw", Block)]
)
def test_what_cannot_be_proposed_is_said(root: Client, model: str, action: str, kind: Any) -> None:
    """The coordinator's key is rotated, not revoked; genesis is no release."""
    before = Proposal.objects.count()
    row = kind.objects.order_by("pk").first()
    answer = act(root, model, action, row, confirmed="yes", reason="because")
    listed = root.get(answer["Location"]).content.decode()
    assert 'class="error"' in listed
    assert Proposal.objects.count() == before


def test_one_at_a_time(root: Client) -> None:
    body = {"action": "revoke", "_selected_action": list(SignerKey.objects.values_list("pk", flat=True))}
    answer = root.post(reverse("admin:ledger_signerkey_changelist"), body)
    assert "Choose exactly one" in root.get(answer["Location"]).content.decode()


def test_staff_without_the_permission_proposes_nothing(root: Client) -> None:
    user = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_signerkey"))
    viewer = Client()
    viewer.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    before = Proposal.objects.count()
    act(viewer, "signerkey", "revoke", SignerKey.objects.get(org_id="org-a"), confirmed="yes", reason="stolen")
    assert Proposal.objects.count() == before
