"""Single sign-on: a real provider lets in whom it vouches for, and nothing that a hostile one says does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from flxdr.core.clock import SystemClock
from flxdr.operators.models import ExternalIdentity
from flxdr.operators.sso import session as sso_session
from flxdr.platform.models import AuditEvent
from tests.operators import provider as providers
from tests.operators.accounts import PASSWORD, sign_in
from tests.operators.provider import Provider
from tests.support.identity import identity_provider
from tests.support.processes import free_port

pytestmark = pytest.mark.django_db
ROLES = ("soc:operator", "fl-admins:administrator")


@pytest.fixture(autouse=True)
def _nothing_is_known() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def switch_on(env: Callable[..., Any]) -> Callable[..., None]:
    def switch(issuer: str, **values: Any) -> None:
        client = {"oidc_client_id": "flxdr", "oidc_client_secret": "of this test"}
        env(**{**client, "oidc_issuer": issuer, "oidc_roles": ROLES, "operator_2fa": "optional"} | values)

    return switch


@pytest.fixture
def hostile(switch_on: Callable[..., None]) -> Iterator[Provider]:
    with providers.provider() as told:
        switch_on(told.issuer)
        yield told


def begin(client: Client, query: str = "") -> dict[str, str]:
    """Ask to be sent to the provider; the parameters of the request there."""
    answer = client.get(f"/account/sso{query}")
    assert answer.status_code == 302, answer.content
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def come_back(client: Client, told: Provider, **overrides: str) -> Any:
    asked = begin(client)
    told.nonce = asked["nonce"]
    return client.get("/account/sso/callback", {"code": "c", "state": asked["state"], **overrides})


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def kinds() -> list[str]:
    return list(AuditEvent.objects.filter(kind__startswith="operator.").order_by("id").values_list("kind", flat=True))


def test_the_whole_way_at_a_real_provider(switch_on: Callable[..., None]) -> None:
    with identity_provider({"sub": "kim-1", "preferred_username": "kim", "groups": ["soc", "staff"]}) as issuer:
        switch_on(issuer)
        client = Client()
        assert "/account/sso?next=/rounds/" in client.get("/admin/login/?next=/rounds/").content.decode()
        sent = client.get("/account/sso?next=/rounds/")
        assert sent["Location"].startswith(f"{issuer}/oauth2/authorize?")
        back = httpx.post(sent["Location"], data={"sub": "kim-1"})
        target = urlsplit(back.headers["location"])
        assert target.path == "/account/sso/callback"
        done = client.get(f"{target.path}?{target.query}")
    assert (done.status_code, done["Location"]) == (302, "/rounds/")
    assert is_signed_in(client)
    user = User.objects.get(username="kim@sso")
    assert [group.name for group in user.groups.all()] == ["operator"]
    assert not user.has_usable_password()
    assert str(ExternalIdentity.objects.get()) == f"kim@sso of {issuer}"
    assert kinds() == ["operator.added", "operator.signed_in"]
    signed_in = AuditEvent.objects.get(kind="operator.signed_in")
    assert (signed_in.actor, signed_in.data) == ("operator:kim@sso", {"second_factor": False, "issuer": issuer})


def test_state_nonce_and_pkce(hostile: Provider) -> None:
    client = Client()
    asked = begin(client)
    assert (asked["response_type"], asked["scope"], asked["client_id"]) == ("code", "openid profile", "flxdr")
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) >= 32
    assert len(asked["nonce"]) >= 32
    hostile.nonce = asked["nonce"]
    client.get("/account/sso/callback", {"code": "c", "state": asked["state"]})
    (form,) = [form for path, form in hostile.requests if path == "/token"]
    digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert "client_secret" not in form, "it goes in the Authorization header"


@pytest.mark.parametrize("key", [(providers.RSA, "RS256"), (providers.EC, "ES256")], ids=["RS256", "ES256"])
def test_both_algorithms(hostile: Provider, key: tuple[Any, str]) -> None:
    hostile.sign = partial(providers.signed, key=key[0], algorithm=key[1])
    client = Client()
    assert come_back(client, hostile).status_code == 302
    assert is_signed_in(client)


def unsigned(claims: Mapping[str, Any]) -> str:
    return jwt.encode(dict(claims), key="", algorithm="none", headers={"kid": providers.KEY_ID})


def signed_with_the_public_key(claims: Mapping[str, Any]) -> str:
    """HS256, its secret being what everybody knows."""
    secret = json.dumps(providers.jwks()["keys"][0])
    return jwt.encode(dict(claims), secret, algorithm="HS256", headers={"kid": providers.KEY_ID})


def signed_with_the_client_secret(claims: Mapping[str, Any]) -> str:
    return jwt.encode(dict(claims), "of this test" * 4, algorithm="HS256", headers={"kid": providers.KEY_ID})


LONG_AGO, FAR_AHEAD = 1_577_836_800, 4_102_444_800  # 2020 and 2100


@pytest.mark.parametrize(
    "lie",
    [
        {"claims": {"iss": "http://evil.example.org"}},
        {"claims": {"iss": None}},
        {"claims": {"aud": "another"}},
        {"claims": {"aud": ["flxdr", "another"]}},
        {"claims": {"aud": None}},
        {"claims": {"azp": "another"}},
        {"claims": {"nonce": "of another sign-in"}},
        {"claims": {"nonce": None}},
        {"claims": {"exp": LONG_AGO}},
        {"claims": {"exp": None}},
        {"claims": {"exp": "soon"}},
        {"claims": {"iat": FAR_AHEAD}},
        {"claims": {"nbf": FAR_AHEAD}},
        {"claims": {"sub": None}},
        {"claims": {"sub": ""}},
        {"claims": {"sub": "somebody-else"}},
        {"claims": {"sub": "x" * 256}, "user_info": {"sub": "x" * 256, "groups": ["soc"]}},
        {"user_info": {"sub": "somebody-else", "groups": ["fl-admins"]}},
        {"user_info": {"groups": ["fl-admins"]}},
        {"user_info": ["groups"]},
        {"sign": partial(providers.signed, key=providers.STRANGERS)},
        {"sign": partial(providers.signed, key_id="key-2")},
        {"sign": partial(providers.signed, key=providers.STRANGERS, key_id=None)},
        {"sign": unsigned},
        {"sign": signed_with_the_public_key},
        {"sign": signed_with_the_client_secret},
        {"sign": lambda claims: "no token"},
        {"sign": lambda claims: providers.signed(claims)[:-8] + "AAAAAAAA"},
        {"sign": lambda claims: None},
        {"answers": {"/token": (200, b"[]")}},
        {"answers": {"/token": (200, b"{}")}},
        {"answers": {"/token": (200, b"<html>")}},
        {"answers": {"/token": (400, b'{"error": "invalid_grant"}')}},
        {"answers": {"/token": (500, b"")}},
        {"answers": {"/jwks": (200, b"{}")}},
        {"answers": {"/jwks": (200, b'{"keys": [{"kty": "oct", "k": "AA", "kid": "key-1"}]}')}},
        {"answers": {"/jwks": (500, b"")}},
        {"answers": {"/userinfo": (200, b"nothing")}},
        {"answers": {"/userinfo": (401, b"{}")}},
    ],
    ids=lambda lie: re.sub(r" at 0x[0-9a-f]+", "", str(lie))[:60],
)
def test_a_lie_lets_nobody_in(hostile: Provider, lie: dict[str, Any]) -> None:
    for name, value in lie.items():
        setattr(hostile, name, value)
    client = Client()
    answer = come_back(client, hostile)
    assert answer.status_code in (403, 503), answer.content
    assert 'class="errornote"' in answer.content.decode()
    assert not is_signed_in(client)
    assert not User.objects.filter(username__endswith="@sso").exists()
    assert kinds() == []


def test_the_code_is_not_logged(hostile: Provider, caplog: pytest.LogCaptureFixture) -> None:
    hostile.answers["/token"] = (503, b"")
    come_back(Client(), hostile, code="still-good")
    assert "sign-in refused" in caplog.text
    assert "still-good" not in caplog.text


def test_another_sessions_state(hostile: Provider) -> None:
    """An attacker's callback in a victim's browser: that one did not begin it."""
    attacker, victim = Client(), Client()
    asked = begin(attacker)
    hostile.nonce = asked["nonce"]
    for browser in (victim, Client()):
        begin(browser)
        answer = browser.get("/account/sso/callback", {"code": "c", "state": asked["state"]})
        assert answer.status_code == 403
        assert "not begun in this browser" in answer.content.decode()
        assert not is_signed_in(browser)
    assert all(path != "/token" for path, _ in hostile.requests)


@pytest.mark.parametrize("query", [{}, {"code": "c"}, {"state": "s"}, {"code": "c", "state": "s"}, {"error": "x"}])
def test_a_callback_out_of_nowhere(hostile: Provider, query: dict[str, str]) -> None:
    assert Client().get("/account/sso/callback", query).status_code == 403


def test_a_state_is_good_once(hostile: Provider) -> None:
    client = Client()
    asked = begin(client)
    hostile.nonce = asked["nonce"]
    query = {"code": "c", "state": asked["state"]}
    assert client.get("/account/sso/callback", query).status_code == 302
    assert client.get("/account/sso/callback", query).status_code == 403


def test_a_name_and_password_begin_no_exchange(hostile: Provider, kim: User) -> None:
    """The library's backend would take a code from the address of the form, without state and nonce."""
    answer = Client().post("/admin/login/?code=c&state=s", {"username": "kim", "password": "wrong"})
    assert answer.status_code == 200
    assert hostile.requests == []


def test_refused_at_the_provider(hostile: Provider) -> None:
    client = Client()
    asked = begin(client)
    answer = client.get("/account/sso/callback", {"error": "access_denied<script>", "state": asked["state"]})
    assert answer.status_code == 403
    assert "access_denied&lt;script&gt;" in answer.content.decode()


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


@pytest.mark.parametrize(
    "answer",
    [
        (404, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"issuer": "http://evil.example.org"}'),
        (302, b""),
    ],
)
def test_a_provider_that_is_none(hostile: Provider, answer: tuple[int, bytes]) -> None:
    hostile.answers["/.well-known/openid-configuration"] = answer
    page = Client().get("/account/sso")
    assert page.status_code == 503
    assert "does not answer" in page.content.decode()


def test_a_provider_that_is_down(hostile: Provider, env: Callable[..., Any], kim: User) -> None:
    client = Client()
    come_back(client, hostile)
    cache.clear()
    env(oidc_issuer=f"http://127.0.0.1:{free_port()}")
    assert Client().get("/account/sso").status_code == 503
    assert is_signed_in(client), "who is signed in does not need it"
    browser, _ = sign_in("kim")
    assert is_signed_in(browser), "and local accounts do not either"


@pytest.mark.parametrize("target", ["https://evil.example.org/", "//evil.example.org", "javascript:alert(1)"])
def test_it_leads_nowhere_else(hostile: Provider, target: str) -> None:
    client = Client()
    asked = begin(client, f"?next={target}")
    hostile.nonce = asked["nonce"]
    answer = client.get("/account/sso/callback", {"code": "c", "state": asked["state"]})
    assert answer["Location"] == "/"
