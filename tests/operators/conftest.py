"""Accounts with a password, and the device of their second factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache

from flxdr.operators.roles import OPERATOR
from tests.operators import provider as providers
from tests.operators.accounts import PASSWORD, account
from tests.operators.authenticator import Authenticator
from tests.operators.provider import Provider
from tests.operators.single_sign_on import ROLES


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


@pytest.fixture
def switch_on(env: Callable[..., Any]) -> Iterator[Callable[..., None]]:
    """Switch single sign-on on; nothing is known of a provider before or after the test."""

    def switch(issuer: str, **values: Any) -> None:
        client = {"oidc_client_id": "flxdr", "oidc_client_secret": "of this test"}
        env(**{**client, "oidc_issuer": issuer, "oidc_roles": ROLES, "operator_2fa": "optional"} | values)

    cache.clear()
    yield switch
    cache.clear()


@pytest.fixture
def hostile(switch_on: Callable[..., None]) -> Iterator[Provider]:
    with providers.provider() as told:
        switch_on(told.issuer)
        yield told
