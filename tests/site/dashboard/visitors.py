"""Browsers of people with a role: what they may see and do."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.test import Client


def superuser() -> Client:
    return signed_in(User.objects.create_superuser("root"))


def staff(*permissions: str) -> Client:
    """Somebody of staff with permissions such as `ledger.view_block`."""
    user = User.objects.create_user("viewer", is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return signed_in(user)


def signed_in(user: User) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


def text_of(client: Client, path: str, status: int = 200) -> str:
    """The page with its white space folded."""
    answer = client.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    return " ".join(answer.content.decode().split())
