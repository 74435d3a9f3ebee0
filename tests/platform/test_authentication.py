"""Who gets in: every kind of caller at every kind of door."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.auth import tokens
from flxdr.platform.auth.spent import purge_spent_tokens
from flxdr.platform.auth.verification import verify_pqc_token
from flxdr.platform.errors import TokenInvalid
from flxdr.platform.identity import coordinator_key
from flxdr.platform.models import UsedToken
from tests.platform.directories import MemoryDirectory, registered

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.platform.routes")]

KEY = PrivateKey.generate()
SECOND_KEY = PrivateKey.generate(Algorithm.ED25519)
SUSPENDED_KEY = PrivateKey.generate(Algorithm.ED25519)
PENDING_KEY = PrivateKey.generate(Algorithm.ED25519)
HMAC_SECRET = "0123456789abcdef" * 3


@pytest.fixture(autouse=True)
def organizations() -> Iterator[MemoryDirectory]:
    directory = MemoryDirectory(
        keys={
            "org-a": [KEY.public, SECOND_KEY.public],
            "org-suspended": [SUSPENDED_KEY.public],
            "org-pending": [PENDING_KEY.public],
        },
        active={"org-a", "org-keyless"},
        suspended={"org-suspended"},
    )
    with registered(directory):
        yield directory


@pytest.fixture
def _shared_secret(env: Any) -> None:
    env(api_hmac_key=HMAC_SECRET)


def own(org_id: str = "org-a", key: PrivateKey = KEY, *, ago: int = 0) -> str:
    return tokens.sign_own_token(org_id=org_id, key=key, now=datetime.now(UTC) - timedelta(seconds=ago))


def issued(subject: str, role: str, *, days: float = 30, key: tokens.SigningKey | None = None) -> str:
    return tokens.issue_token(key=key or coordinator_key(), subject=subject, role=role, lifetime=timedelta(days=days))


def api_client(environ: dict[str, Any]) -> APIClient:
    return APIClient(**environ)


def get(client: APIClient, token: str | None, door: str = "either", **extra: Any) -> Any:
    return client.get(f"/api/who/{door}", headers=bearer(token), **extra)


def post(client: APIClient, token: str | None, door: str = "either", **extra: Any) -> Any:
    return client.post(f"/api/who/{door}", {}, format="json", headers=bearer(token), **extra)


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("call", [get, post])
@pytest.mark.parametrize(
    ("caller", "door", "status"),
    [
        ("organization", "operator", 403),
        ("organization", "organization", 200),
        ("organization", "either", 200),
        ("operator", "operator", 200),
        ("operator", "organization", 403),
        ("operator", "either", 200),
        ("operator", "read-only", 200),
        ("anonymous", "operator", 401),
        ("anonymous", "organization", 401),
        ("anonymous", "either", 401),
        ("anonymous", "read-only", 401),
        ("suspended", "either", 403),
        ("pending", "either", 403),
    ],
)
def test_doors(outsider: APIClient, call: Any, caller: str, door: str, status: int) -> None:
    token = {
        "organization": own(),
        "operator": issued("ops", "operator"),
        "anonymous": None,
        "suspended": own("org-suspended", SUSPENDED_KEY),
        "pending": own("org-pending", PENDING_KEY),
    }[caller]
    response = call(outsider, token, door)
    assert response.status_code == status
    if status == 401:
        assert response["WWW-Authenticate"].startswith("Bearer ")


def test_read_only_door_lets_organizations_read(outsider: APIClient) -> None:
    assert get(outsider, own(), "read-only").status_code == 200
    refusal = post(outsider, own(), "read-only")
    assert (refusal.status_code, refusal.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("make", "principal"),
    [
        (own, ("organization", "org-a")),
        (lambda: own(key=SECOND_KEY), ("organization", "org-a")),
    ],
    ids=["ml-dsa", "ed25519"],
)
def test_organization_by_any_of_its_keys(
    outsider: APIClient, organizations: MemoryDirectory, make: Callable[[], str], principal: tuple[str, str]
) -> None:
    body = get(outsider, make()).json()
    assert (body["kind"], body["name"]) == principal
    assert organizations.touched == ["org-a"]


def test_organization_without_a_key_by_an_issued_token(outsider: APIClient) -> None:
    body = get(outsider, issued("org-keyless", "organization")).json()
    assert body == {"kind": "organization", "name": "org-keyless", "org_id": "org-keyless"}


def test_hs256_with_the_configured_secret(outsider: APIClient, env: Any) -> None:
    token = issued("ops", "operator", key=tokens.HmacKey(HMAC_SECRET))
    assert get(outsider, token).json()["code"] == "token_invalid"
    env(api_hmac_key=HMAC_SECRET)
    assert get(outsider, token).json()["name"] == "ops"


def raw(algorithm: str, key: str, **claims: Any) -> str:
    now = int(datetime.now(UTC).timestamp())
    return jwt.encode(
        {"iss": "org-a", "sub": "org-a", "aud": "flxdr", "iat": now, "exp": now + 60, "jti": "j"} | claims,
        key,
        algorithm=algorithm,
    )


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("call", [get, post])
@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: "", 401, "token_invalid"),
        (lambda: "nonsense", 401, "token_invalid"),
        (lambda: "a.b.c", 401, "token_invalid"),
        (lambda: raw("none", ""), 401, "token_invalid"),
        (lambda: raw("HS256", KEY.public.to_base64()), 401, "token_invalid"),
        (lambda: raw("HS256", HMAC_SECRET), 401, "token_invalid"),
        (lambda: raw("HS256", HMAC_SECRET, iss="coordinator", role="operator", aud="x"), 401, "token_invalid"),
        (lambda: raw("HS256", "another secret" * 3, iss="coordinator", role="operator"), 401, "token_invalid"),
        (lambda: raw("HS256", HMAC_SECRET, iss="coordinator", role="admin"), 401, "token_invalid"),
        (lambda: own(key=PrivateKey.generate()), 401, "token_invalid"),
        (lambda: own(key=SUSPENDED_KEY), 401, "token_invalid"),
        (lambda: own(ago=200), 401, "token_expired"),
        (lambda: own("org-nobody"), 401, "unknown_organization"),
        (lambda: own("org-keyless"), 401, "unknown_organization"),
        (lambda: own("coordinator"), 401, "token_invalid"),
        (lambda: own("org-suspended", KEY), 401, "token_invalid"),
        (lambda: own("org-suspended", SUSPENDED_KEY), 403, "organization_suspended"),
        (lambda: own("org-pending", PENDING_KEY), 403, "organization_not_active"),
    ],
    ids=[
        "empty",
        "nonsense",
        "three-parts-of-nothing",
        "alg-none",
        "hs256-with-the-public-key",
        "hs256-as-an-organization",
        "wrong-audience",
        "another-secret",
        "unknown-role",
        "unregistered-key",
        "another-organizations-key",
        "expired",
        "unknown-organization",
        "organization-without-key",
        "organization-as-coordinator",
        "suspended-with-a-wrong-key",
        "suspended",
        "pending",
    ],
)
@pytest.mark.usefixtures("_shared_secret")
def test_refused_tokens(outsider: APIClient, call: Any, make: Callable[[], str], status: int, code: str) -> None:
    """Tokens live for a minute or two, so they are made in the test and not when it is collected."""
    response = call(outsider, make())
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert response.json()["code"] == code
    assert not UsedToken.objects.exists()


@pytest.mark.parametrize("role_token", ["org-suspended", "org-pending", "org-nobody"])
def test_issued_token_does_not_outlive_the_organizations_standing(outsider: APIClient, role_token: str) -> None:
    assert get(outsider, issued(role_token, "organization")).status_code == 403


def test_a_refused_token_is_not_replaced_by_being_local(api: APIClient) -> None:
    assert get(api, "nonsense").status_code == 401
    assert api.get("/api/who/either", headers={"Authorization": "Basic b3BzOm9wcw=="}).json()["code"] == "token_invalid"


def test_own_token_is_good_for_one_write(outsider: APIClient) -> None:
    token = own()
    assert get(outsider, token).status_code == get(outsider, token).status_code == 200
    assert post(outsider, token).status_code == 200
    replay = post(outsider, token)
    assert (replay.status_code, replay.json()["code"]) == (401, "token_replayed")
    assert get(outsider, token).status_code == 200
    assert post(outsider, own()).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_every_unsafe_method_spends_a_token(outsider: APIClient, method: str) -> None:
    token = own()
    getattr(outsider, method)("/api/who/either", headers=bearer(token))
    assert post(outsider, token).json()["code"] == "token_replayed"


def test_long_issued_tokens_serve_many_writes_and_short_ones_one(outsider: APIClient) -> None:
    long, short = issued("ops", "operator"), issued("ops", "operator", days=1 / 288)
    assert [post(outsider, long).status_code for _ in range(3)] == [200, 200, 200]
    assert [post(outsider, short).status_code for _ in range(2)] == [200, 401]


def test_spent_tokens_are_forgotten_once_expired(outsider: APIClient) -> None:
    post(outsider, own())
    post(outsider, own())
    assert purge_spent_tokens() == 0
    UsedToken.objects.filter(pk=UsedToken.objects.latest("pk").pk).update(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert purge_spent_tokens() == 1
    assert UsedToken.objects.count() == 1


def test_verify_pqc_token() -> None:
    assert verify_pqc_token(own()).org_id == "org-a"
    with pytest.raises(TokenInvalid):
        verify_pqc_token("nonsense")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "localhost:8000", "127.0.0.1:8000", "[::1]:8000"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "127.9.9.9"])
def test_development_operator_on_this_machine(host: str, peer: str) -> None:
    body = post(APIClient(HTTP_HOST=host, REMOTE_ADDR=peer), None, "operator").json()
    assert (body["kind"], body["name"]) == ("operator", "development")


@pytest.mark.parametrize(
    "changes",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "::ffff:192.0.2.7"},
        {"HTTP_HOST": "fl.example.org"},
        {"HTTP_HOST": "127.0.0.1.example.org"},
        {"HTTP_HOST": "localhost.example.org"},
        {"HTTP_HOST": "192.0.2.7"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_FOR": ""},
        {"HTTP_X_FORWARDED_HOST": "localhost"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_X_REAL_IP": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
    ],
    ids=lambda changes: "-".join(next(iter(changes.items()))),
)
@pytest.mark.parametrize("call", [get, post])
def test_no_development_operator_from_elsewhere(settings: Any, call: Any, changes: dict[str, str]) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    client = api_client({"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"} | changes)
    assert call(client, None).status_code == 401


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:5173"])
def test_development_operator_in_a_browser(api: APIClient, origin: str) -> None:
    assert post(api, None, HTTP_ORIGIN=origin).status_code == 200


def test_no_development_operator_in_production(api: APIClient, env: Any) -> None:
    env(env="production")
    assert get(api, None).json()["code"] == "unauthenticated"


@pytest.mark.parametrize(("staff", "status"), [(True, 200), (False, 401)])
def test_staff_session_is_an_operator(staff: bool, status: int) -> None:
    client = APIClient(HTTP_HOST="localhost", REMOTE_ADDR="192.0.2.7")
    client.force_login(User.objects.create_user("ada", is_staff=staff), "django.contrib.auth.backends.ModelBackend")
    response = get(client, None, "operator")
    assert response.status_code == status
    if staff:
        assert response.json()["name"] == "ada"


@pytest.mark.parametrize("address", ["192.0.2.7", "127.0.0.1"])
def test_a_session_that_does_not_operate_only_reads(address: str) -> None:
    client = APIClient(HTTP_HOST="localhost", REMOTE_ADDR=address)
    client.force_login(User.objects.create_user("ada", is_staff=True), "django.contrib.auth.backends.ModelBackend")
    refused = post(client, None, "operator")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert get(client, None, "operator").json()["name"] == "ada"


def test_session_writes_need_the_csrf_token() -> None:
    client = APIClient(enforce_csrf_checks=True, HTTP_HOST="localhost", REMOTE_ADDR="192.0.2.7")
    ada = User.objects.create_user("ada", is_staff=True)
    ada.user_permissions.add(Permission.objects.get(codename="change_traininground"))
    client.force_login(ada, "django.contrib.auth.backends.ModelBackend")
    assert post(client, None, "operator").status_code == 403
    client.cookies["csrftoken"] = "a" * 32
    assert post(client, None, "operator", HTTP_X_CSRFTOKEN="a" * 32).status_code == 200
