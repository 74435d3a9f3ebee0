"""Accounts with a role, and a browser that is signed in as one."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

BACKEND = "django.contrib.auth.backends.ModelBackend"
PASSWORD = "correct horse battery"


def account(role: str, name: str | None = None) -> User:
    """An account of somebody with this role, as `create_operator` makes it."""
    user = User.objects.create_user(name or role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def signed_in(user: User, **environ: Any) -> Client:
    client = Client(**environ)
    client.force_login(user, backend=BACKEND)
    return client


def sign_in(name: str, code: str = "", password: str = PASSWORD) -> tuple[Client, Any]:
    """Fill in the form; the browser, and what it was answered."""
    client = Client()
    values = {"username": name, "password": password, "code": code, "next": "/admin/"}
    return client, client.post("/admin/login/", values)
