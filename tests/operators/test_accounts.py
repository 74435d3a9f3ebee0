"""Accounts are made with a role, and none by halves."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from flxdr.operators.roles import ADMINISTRATOR, OPERATOR, ROLES, VIEWER
from flxdr.platform.models import AuditEvent
from tests.operators.accounts import PASSWORD, account, signed_in

pytestmark = pytest.mark.django_db


def create(*arguments: str, monkeypatch: pytest.MonkeyPatch, password: str = PASSWORD) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    output = io.StringIO()
    call_command("create_operator", *arguments, "--password-stdin", stdout=output)
    return output.getvalue()


@pytest.mark.parametrize("role", ROLES)
def test_an_account_signs_in_with_its_role(role: str, monkeypatch: pytest.MonkeyPatch, client: Any) -> None:
    assert create("kim", "--role", role, monkeypatch=monkeypatch).startswith(f"kim signs in as {role}: ")
    user = User.objects.get(username="kim")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert list(user.groups.values_list("name", flat=True)) == [role]
    signed_in = client.post("/admin/login/", {"username": "kim", "password": PASSWORD, "next": "/admin/"})
    assert (signed_in.status_code, signed_in["Location"]) == (302, "/admin/")
    event = AuditEvent.objects.get(kind="operator.added")
    assert (event.actor, event.subject) == ("command", "kim")
    assert event.data == {"roles": [role], "own_permissions": [], "superuser": False, "signs_in": True}


def test_the_password_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([PASSWORD, "another", PASSWORD, PASSWORD])
    monkeypatch.setattr("flxdr.operators.management.commands.create_operator.getpass", lambda _: next(answers))
    with pytest.raises(CommandError, match="differ"):
        call_command("create_operator", "kim", stdout=io.StringIO())
    call_command("create_operator", "kim", stdout=io.StringIO())
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [
        ("kim", "short", "too short"),
        ("kim", "password1234", "too common"),
        ("kim", "", "too short"),
        ("kim lee", PASSWORD, "valid username"),
        ("", PASSWORD, "cannot be blank"),
        ("k" * 65, PASSWORD, "at most 64 characters"),
        ("ADA", PASSWORD, "there is an account"),
    ],
)
def test_what_is_refused_leaves_nothing(name: str, password: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user("ada")
    events = AuditEvent.objects.count()
    with pytest.raises(CommandError, match=says):
        create(name, "--role", ADMINISTRATOR, monkeypatch=monkeypatch, password=password)
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]
    assert AuditEvent.objects.count() == events


class TestInTheAdministration:
    """Every step is an event."""

    @pytest.fixture
    def administrator(self) -> Client:
        return signed_in(account(ADMINISTRATOR, "ada"))

    def event(self) -> AuditEvent:
        return AuditEvent.objects.latest("pk")

    def test_an_account_that_is_added(self, administrator: Client) -> None:
        values = {"username": "kim", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        assert administrator.post("/admin/auth/user/add/", values).status_code == 302
        told = self.event()
        assert (told.kind, told.actor, told.subject) == ("operator.added", "operator:ada", "kim")
        assert told.data["signs_in"] is False

    def test_a_role_that_is_given(self, administrator: Client) -> None:
        kim = account(VIEWER, "kim")
        values = {
            "username": "kim",
            "is_active": "on",
            "is_staff": "on",
            "groups": [str(Group.objects.get(name=role).pk) for role in (VIEWER, OPERATOR)],
            "date_joined_0": "2026-01-01",
            "date_joined_1": "00:00:00",
        }
        assert administrator.post(f"/admin/auth/user/{kim.pk}/change/", values).status_code == 302
        told = self.event()
        assert (told.kind, told.actor, told.subject) == ("operator.changed", "operator:ada", "kim")
        assert told.data["roles"] == ["operator", "viewer"]
        assert "Groups" in str(told.data["changes"])

    def test_a_password_that_is_set(self, administrator: Client) -> None:
        kim = account(VIEWER, "kim")
        values = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
        assert administrator.post(f"/admin/auth/user/{kim.pk}/password/", values).status_code == 302
        told = self.event()
        assert (told.kind, told.subject) == ("operator.changed", "kim")
        assert told.data["changes"] == [{"changed": {"fields": ["password"]}}]
        assert PASSWORD not in str(told.data)

    def test_accounts_that_are_removed(self, administrator: Client) -> None:
        kim, sam = account(VIEWER, "kim"), account(VIEWER, "sam")
        assert administrator.post(f"/admin/auth/user/{kim.pk}/delete/", {"post": "yes"}).status_code == 302
        assert self.event().subject == "kim"
        chosen = {"action": "delete_selected", "_selected_action": str(sam.pk), "post": "yes"}
        assert administrator.post("/admin/auth/user/", chosen).status_code == 302
        told = self.event()
        assert (told.kind, told.actor, told.subject) == ("operator.removed", "operator:ada", "sam")
        assert list(User.objects.values_list("username", flat=True)) == ["ada"]

    def test_a_role_that_is_changed_and_removed(self, administrator: Client) -> None:
        role = Group.objects.get(name=VIEWER)
        export = Permission.objects.get(codename="export_auditevent")
        page = f"/admin/auth/group/{role.pk}/"
        assert administrator.post(f"{page}change/", {"name": VIEWER, "permissions": [export.pk]}).status_code == 302
        told = self.event()
        assert (told.kind, told.actor, told.subject) == ("role.changed", "operator:ada", "viewer")
        assert told.data["permissions"] == ["platform.export_auditevent"]
        assert administrator.post(f"{page}delete/", {"post": "yes"}).status_code == 302
        assert (self.event().kind, self.event().subject) == ("role.removed", "viewer")
