"""Single sign-on: a real provider lets in whom it vouches for, and nothing that a hostile one says does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from flxdr.operators.models import ExternalIdentity
from flxdr.platform.models import AuditEvent
from tests.operators import provider as providers
from tests.operators.accounts import sign_in
from tests.operators.provider import Provider
from tests.operators.single_sign_on import begin, come_back, is_signed_in, kinds
from tests.support.identity import identity_provider
from tests.support.processes import free_port

pytestmark = pytest.mark.django_db


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
