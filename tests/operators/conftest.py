"""Accounts with a password, and the device of their second factor."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from flxdr.operators.roles import OPERATOR
from tests.operators.accounts import PASSWORD, account
from tests.operators.authenticator import Authenticator


@pytest.fixture
def authenticator(monkeypatch: pytest.MonkeyPatch) -> Authenticator:
    return Authenticator(monkeypatch)


@pytest.fixture
def kim(db: None) -> User:
    """An operator without a second factor."""
    user = account(OPERATOR, "kim")
    user.set_password(PASSWORD)
    user.save()
    return user
