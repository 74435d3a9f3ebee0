"""Single sign-on: whose account it is, with which role, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from flxdr.core.clock import SystemClock
from flxdr.operators.models import ExternalIdentity
from flxdr.operators.sso import session as sso_session
from flxdr.platform.models import AuditEvent
from tests.operators.accounts import PASSWORD, sign_in
from tests.operators.provider import Provider
from tests.operators.single_sign_on import come_back, is_signed_in, kinds

pytestmark = pytest.mark.django_db


def test_local_accounts_are_nobodys_at_the_provider(hostile: Provider, kim: User) -> None:
    kim.email = "kim@example.org"
    kim.save()
    hostile.user_info |= {"email": "kim@example.org", "email_verified": True, "preferred_username": "kim"}
    assert come_back(Client(), hostile).status_code == 302
    assert ExternalIdentity.objects.get().user != kim
    assert [str(group) for group in kim.groups.all()] == ["operator"]
    browser, answer = sign_in("kim", password=PASSWORD)
    assert answer.status_code == 302, "the local account still signs in"
    assert is_signed_in(browser)


def test_two_people_of_one_name(hostile: Provider) -> None:
    come_back(Client(), hostile)
    hostile.claims = {"sub": "kim-2"}
    hostile.user_info = {**hostile.user_info, "sub": "kim-2"}
    come_back(Client(), hostile)
    first, second = ExternalIdentity.objects.order_by("id")
    assert first.user.username == "kim@sso"
    assert second.user.username.startswith("kim.")
    assert second.user.username.endswith("@sso")
    hostile.user_info = {**hostile.user_info, "preferred_username": "renamed"}
    come_back(Client(), hostile)
    assert ExternalIdentity.objects.count() == 2, "the subject counts, not the name"


@pytest.mark.parametrize("groups", [None, [], ["staff"], "staff", {"soc": True}, [["soc"], 7], "administrator"])
def test_no_role_no_access(hostile: Provider, groups: Any) -> None:
    hostile.user_info["groups"] = groups
    client = Client()
    answer = come_back(client, hostile)
    assert answer.status_code == 403
    assert "has no role here" in answer.content.decode()
    assert not is_signed_in(client)
    assert kinds() == ["operator.sign_in_failed"]
    assert not User.objects.filter(username__endswith="@sso").exists()


def test_roles_follow_the_groups(hostile: Provider) -> None:
    def roles() -> list[str]:
        return sorted(User.objects.get(username="kim@sso").groups.values_list("name", flat=True))

    first = Client()
    come_back(first, hostile)
    assert roles() == ["operator"]
    hostile.user_info["groups"] = ["soc", "fl-admins"]
    come_back(Client(), hostile)
    assert roles() == ["administrator", "operator"]
    hostile.user_info["groups"] = []
    assert come_back(Client(), hostile).status_code == 403
    assert roles() == []
    assert first.get("/rounds/").status_code in (302, 403), "an older session has lost its role as well"
    assert kinds().count("operator.changed") == 2


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["soc"]}}),
        ("https://example.org/roles", {"https://example.org/roles": ["soc"]}),
        ("role", {"role": "soc"}),
    ],
)
def test_where_providers_keep_groups(
    hostile: Provider, env: Callable[..., Any], claim: str, told: dict[str, Any]
) -> None:
    env(oidc_role_claim=claim)
    hostile.claims = told
    client = Client()
    come_back(client, hostile)
    assert is_signed_in(client)


def test_an_account_that_an_administrator_locked(hostile: Provider) -> None:
    come_back(Client(), hostile)
    User.objects.filter(username="kim@sso").update(is_active=False)
    client = Client()
    answer = come_back(client, hostile)
    assert (answer.status_code, is_signed_in(client)) == (403, False)


@pytest.mark.parametrize(
    ("mode", "amr", "is_enough"),
    [
        ("ask", ["mfa"], False),
        ("amr", ["pwd", "mfa"], True),
        ("amr", ["pwd"], False),
        ("amr", "mfa", False),
        ("amr", None, False),
        ("trust", None, True),
    ],
)
def test_the_second_factor(hostile: Provider, env: Callable[..., Any], mode: str, amr: Any, is_enough: bool) -> None:
    env(oidc_second_factor=mode, operator_2fa="required")
    hostile.claims = {"amr": amr}
    client = Client()
    come_back(client, hostile)
    page = client.get("/")
    assert (page.status_code == 200) is is_enough
    if not is_enough:
        assert page["Location"] == "/account/two-factor"
    assert client.get("/api/fl-blockchain/federation/status").status_code == (200 if is_enough else 403)
    assert AuditEvent.objects.get(kind="operator.signed_in").data["second_factor"] is is_enough


def test_a_session_ends_in_time(hostile: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    come_back(client, hostile)
    assert is_signed_in(client)

    class Later(SystemClock):
        def now(self) -> Any:
            return super().now() + timedelta(minutes=60)

    monkeypatch.setattr(sso_session, "SystemClock", Later)
    assert not is_signed_in(client)


def test_switched_off_it_ends_sessions_and_is_not_there(hostile: Provider, env: Callable[..., Any]) -> None:
    client = Client()
    come_back(client, hostile)
    env(oidc_issuer=None)
    assert not is_signed_in(client)
    assert client.get("/account/sso").status_code == 404
    assert client.get("/account/sso/callback").status_code == 404
    assert "account/sso" not in client.get("/admin/login/").content.decode()


def test_signing_out(hostile: Provider) -> None:
    client = Client()
    come_back(client, hostile)
    client.post("/admin/logout/")
    assert not is_signed_in(client)
