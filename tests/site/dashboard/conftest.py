"""Federations for the pages' tests, and who looks at the pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.federation.conftest import clock, federation

__all__ = ["clock", "federation"]


def _signed_in(user: User) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client


@pytest.fixture
def operator(db: None) -> Client:
    return _signed_in(User.objects.create_superuser("kim"))


@pytest.fixture
def second(db: None) -> Client:
    """Another operator."""
    return _signed_in(User.objects.create_superuser("sam"))


@pytest.fixture
def viewer(db: None) -> Client:
    """Somebody who may look at everything and do nothing."""
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return _signed_in(user)
