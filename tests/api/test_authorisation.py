"""Every endpoint, called by everybody: who gets in, who is told to authenticate, who is turned away."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.urls import URLPattern, get_resolver

from federation.models import ModelVersion
from flxdr.core.clock import SystemClock
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.auth.tokens import OPERATOR, ORGANIZATION, sign_own_token
from flxdr.platform.identity import coordinator_key
from flxdr.platform.models import AuditEvent
from tests.api.callers import (
    THIS_MACHINE,
    Caller,
    bearer,
    issued,
    operator,
    organization,
    own_user,
    stranger,
)
from tests.api.rounds import open_round, register, run_due_work, submit, update
from tests.support.federation import SimulatedFederation

pytestmark = pytest.mark.django_db

CALLERS: dict[str, Callable[[], Caller]] = {
    "stranger": stranger,
    "expired": lambda: bearer(issued("org-alpha", ORGANIZATION, age=timedelta(days=2))),
    "suspended": lambda: organization("org-suspended"),
    "pending": lambda: organization("org-pending"),
    "participant": lambda: organization("org-alpha"),
    "outsider": lambda: organization("org-outside"),
    "operator": operator,
    "own user": own_user,
}
ANYBODY = dict.fromkeys(CALLERS, 200) | {"expired": 401, "suspended": 403, "pending": 403}
MEMBERS = ANYBODY | {"stranger": 401}
OPERATORS = MEMBERS | {"participant": 403, "outsider": 403}
ASKED = {"operator": 202, "own user": 202}
UNFIT = {"operator": 422, "own user": 422}
ORGANIZATIONS = MEMBERS | {"operator": 403, "own user": 403}

ENDPOINTS: list[tuple[str, str, dict[str, int]]] = [
    ("POST", "federation/register", ANYBODY),
    ("GET", "federation/organizations", MEMBERS),
    ("POST", "federation/organizations/sign-in", ORGANIZATIONS),
    ("POST", "federation/round/start", OPERATORS),
    ("POST", "federation/round/submit-gradient", ORGANIZATIONS | {"participant": 201, "outsider": 403}),
    ("GET", "federation/round/{round_id}/status", MEMBERS),
    ("GET", "federation/status", MEMBERS),
    ("GET", "federation/round/current", ORGANIZATIONS),
    ("GET", "federation/round/{finished}/submission", ORGANIZATIONS | {"outsider": 404}),
    ("GET", "federation/round/{finished}/participants", MEMBERS | {"outsider": 403}),
    ("POST", "federation/round/{round_id}/advertise", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("POST", "federation/round/{round_id}/reveal", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("GET", "federation/round/{round_id}/roster", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("POST", "federation/round/{round_id}/shares", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("GET", "federation/round/{round_id}/shares", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("GET", "federation/round/{round_id}/survivors", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("POST", "federation/round/{round_id}/consistency", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("GET", "federation/round/{round_id}/consistency", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("POST", "federation/round/{round_id}/unmask", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("GET", "federation/round/{round_id}/sums", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("GET", "federation/round/{round_id}/openings", ORGANIZATIONS | {"participant": 409, "outsider": 403}),
    ("POST", "federation/round/{round_id}/openings", ORGANIZATIONS | {"participant": 415, "outsider": 415}),
    ("GET", "federation/rounds", MEMBERS),
    ("GET", "federation/models", MEMBERS),
    ("GET", "federation/models/registry", MEMBERS),
    ("GET", "federation/model/{released}", MEMBERS),
    ("GET", "federation/model/{candidate}", MEMBERS | {"outsider": 404}),
    ("GET", "federation/detections", MEMBERS),
    ("POST", "federation/detections", ORGANIZATIONS | {"participant": 400, "outsider": 400}),
    ("GET", "federation/detections/stix", MEMBERS),
    ("POST", "federation/campaign/start", OPERATORS),
    ("GET", "federation/campaign/{campaign}", MEMBERS),
    ("POST", "federation/organizations/org-pending/approve", OPERATORS),
    ("POST", "federation/organizations/org-alpha/suspend", OPERATORS | ASKED),
    ("POST", "federation/organizations/org-suspended/readmit", OPERATORS | ASKED),
    ("GET", "blockchain/ledger/blocks", MEMBERS),
    ("GET", "blockchain/ledger/block/0", MEMBERS),
    ("GET", "blockchain/ledger/verify", MEMBERS),
    ("GET", "blockchain/ledger/export", MEMBERS),
    ("GET", "blockchain/provenance/{released}", MEMBERS),
    ("GET", "blockchain/head", MEMBERS),
    ("GET", "blockchain/checkpoint", MEMBERS),
    ("POST", "blockchain/checkpoint/cosignatures", ORGANIZATIONS | {"participant": 404, "outsider": 404}),
    ("GET", "blockchain/proof/inclusion?height=0", MEMBERS),
    ("GET", "blockchain/proof/consistency?from=1", MEMBERS),
    ("GET", "blockchain/blocks/0/tlog-proof", MEMBERS),
    ("GET", "blockchain/blocks/0/envelope", MEMBERS),
    ("GET", "blockchain/blocks/0/statements", MEMBERS),
    ("POST", "blockchain/blocks/999999/statements", ORGANIZATIONS | {"participant": 404, "outsider": 404}),
    ("GET", "blockchain/governance", MEMBERS),
    ("POST", "blockchain/governance/rotate", ORGANIZATIONS | {"participant": 400, "outsider": 400}),
    ("POST", "blockchain/governance/revoke", OPERATORS | UNFIT),
    ("POST", "blockchain/governance/withdraw", OPERATORS | {"operator": 404, "own user": 404}),
    ("POST", "blockchain/governance/policy", OPERATORS | UNFIT),
    ("GET", "blockchain/proposals", MEMBERS),
    ("GET", "blockchain/proposals/{proposal}", MEMBERS),
    ("POST", "blockchain/proposals/999999/approve", ORGANIZATIONS | {"participant": 404, "outsider": 404}),
    ("POST", "blockchain/proposals/999999/reject", ORGANIZATIONS | {"participant": 404, "outsider": 404}),
    ("GET", "privacy/config", MEMBERS),
    ("GET", "privacy/budget", MEMBERS),
    ("GET", "health", dict.fromkeys(CALLERS, 200)),
    ("GET", "info", dict.fromkeys(CALLERS, 200)),
]


@pytest.fixture
def names() -> dict[str, Any]:
    """A federation with a finished round, a candidate, an open round, and organisations in every state."""
    finished = open_round("org-alpha", "org-beta")
    for org_id in ("org-alpha", "org-beta"):
        assert submit(finished, org_id).status_code == 201
    run_due_work()
    released = ModelVersion.objects.get(training_round__round_id=finished)
    assert released.status == ModelVersion.Status.RELEASED
    campaign = own_user().post("federation/campaign/start", {"model": "edge-normaliser", "rounds": 2}).json()["id"]
    round_id = own_user().post("federation/round/start", {}).json()["round_id"]
    _add_others()
    return {
        "finished": finished,
        "released": released.model_hash,
        "candidate": released.model_hash,
        "campaign": campaign,
        "proposal": released.proposal_id,
        "round_id": round_id,
    }


def _add_others() -> None:
    """Organisations that took no part in the finished round."""
    for org_id in ("org-outside", "org-suspended"):
        assert register(org_id).status_code == 200
    for caller, status in ((own_user(), 202), (operator(), 200)):
        assert caller.post("federation/organizations/org-suspended/suspend").status_code == status
    production = replace(django_settings.FLXDR, env="production")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(django_settings, "FLXDR", production)
        assert register("org-pending").json()["status"] == "pending"


def _body(path: str, names: dict[str, Any]) -> Any:
    signed = {"statement": "AAAA", "key_id": "0" * 64, "signature": "AAAA"}
    messages = {
        "advertise": signed,
        "reveal": {"nonce": "0" * 64},
        "shares": {"roster_hash": "0" * 64, "shares": {}},
        "consistency": signed,
        "unmask": {"self_seeds": {}, "mask_keys": {}},
        "openings": {"no": "bytes"},
    }
    masking = {f"federation/round/{{round_id}}/{message}": body for message, body in messages.items()}
    return masking.get(path) or {
        "federation/register": {"org_id": "org-new", "org_name": "New"},
        "federation/round/start": {"model": "edge-classifier"},
        "federation/round/submit-gradient": update(names["round_id"], "org-alpha"),
        "federation/detections": signed,
        "federation/campaign/start": {"model": "edge-classifier", "rounds": 1},
        "blockchain/governance/rotate": {
            "public_key": coordinator_key().public.to_base64(),
            "statement": "AAAA",
            "proof": "AAAA",
            "endorsement": {"key_id": "0" * 64, "signature": "AAAA"},
        },
        "blockchain/governance/revoke": {"org_id": "org-nobody", "key_id": "0" * 64, "reason": "stolen"},
        "blockchain/governance/withdraw": {"model_name": "global", "model_version": 999, "reason": "bad"},
        "blockchain/governance/policy": {"method": "multisig", "numerator": 2, "denominator": 3, "minimum": 99},
        "blockchain/checkpoint/cosignatures": {
            "size": 999999,
            "cosignature": "x",
            "witness_key_statement": {"payloadType": "x", "payload": "AAAA", "signatures": []},
        },
        "blockchain/blocks/999999/statements": {"payloadType": "x", "payload": "AAAA", "signatures": []},
        "blockchain/proposals/999999/approve": {"key_id": "0" * 64, "signature": "AAAA"},
        "blockchain/proposals/999999/reject": {"key_id": "0" * 64, "signature": "AAAA", "reason": "no"},
    }.get(path)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path", "expected"), ENDPOINTS, ids=[path for _, path, _ in ENDPOINTS])
def test_access(names: dict[str, Any], method: str, path: str, expected: dict[str, int], caller: str) -> None:
    if "{candidate}" in path:
        ModelVersion.objects.filter(model_hash=names["candidate"]).update(status="candidate", block_height=None)
    actor = CALLERS[caller]()
    address = path.format(**names)
    response = actor.get(address) if method == "GET" else actor.post(address, _body(path, names))
    content = b"".join(response)
    assert response.status_code == expected[caller], content
    if response.status_code >= 400:
        assert response["Content-Type"] == "application/problem+json"
    if response.status_code == 401:
        assert response["WWW-Authenticate"].startswith("Bearer")


def _keyed(name: str, algorithm: Algorithm) -> PrivateKey:
    """The key of an organisation that is admitted with it."""
    (member,) = SimulatedFederation(SystemClock()).enrol(name, algorithm=algorithm)
    assert member.key is not None
    return member.key


def _worthless() -> dict[str, str]:
    """Tokens that prove nothing, by what is wrong with them."""
    key, other = _keyed("org-keyed", Algorithm.ED25519), _keyed("org-other", Algorithm.ML_DSA_65)
    _, payload, signature = sign_own_token(org_id="org-keyed", key=key).split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    renamed = base64.urlsafe_b64encode(b'{"alg":"ML-DSA-65"}').decode().rstrip("=")
    return {
        "no algorithm": f"{unsigned}.{payload}.",
        "another algorithm": f"{renamed}.{payload}.{signature}",
        "another organisation's key": sign_own_token(org_id="org-keyed", key=other),
    }


OPEN = ("health", "info")


def test_a_worthless_token_opens_no_endpoint() -> None:
    placeholders = {"candidate": "0" * 64, "released": "0" * 64, "finished": "r", "round_id": "r"}
    names: dict[str, Any] = placeholders | {"campaign": 1, "proposal": 1}
    for flaw, token in _worthless().items():
        for method, path, _ in ENDPOINTS:
            actor, address = bearer(token), path.format(**names)
            response = actor.get(address) if method == "GET" else actor.post(address, _body(path, names))
            assert response.status_code == (200 if path in OPEN else 401), (flaw, path)


def test_a_token_that_wrote_once_writes_nowhere_again() -> None:
    key = _keyed("org-keyed", Algorithm.ML_DSA_65)
    token = sign_own_token(org_id="org-keyed", key=key)
    names: dict[str, Any] = {"round_id": "r"}
    spending = bearer(token).post("federation/organizations/sign-in")
    assert spending.status_code == 200, spending.content
    for method, path, _ in ENDPOINTS:
        if method == "POST":
            refused = bearer(token).post(path.format(**names), _body(path, names))
            assert (refused.status_code, refused.json()["code"]) == (401, "token_replayed"), path


def _fits(route: str, path: str) -> bool:
    parts, names = route.split("/"), path.partition("?")[0].split("/")
    return len(parts) == len(names) and all(
        part.startswith("<") or part == name for part, name in zip(parts, names, strict=True)
    )


def test_every_route_is_in_the_matrix() -> None:
    routes = {
        str(pattern.pattern)
        for app in ("federation", "ledger", "privacy", "flxdr.platform")
        for pattern in get_resolver(f"{app}.api.urls").url_patterns
        if isinstance(pattern, URLPattern)
    }
    covered = {route for route in routes for _, path, _ in ENDPOINTS if _fits(route, path)}
    assert routes == covered


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "203.0.113.9"},
        {"HTTP_HOST": "testserver"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
    ],
)
def test_only_this_machine_operates_without_a_token(environ: dict[str, str]) -> None:
    assert Caller(THIS_MACHINE).get("federation/organizations").status_code == 200
    assert Caller(THIS_MACHINE | environ).get("federation/organizations").status_code == 401


def test_nobody_operates_without_a_token_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(django_settings, "FLXDR", replace(django_settings.FLXDR, env="production"))
    assert own_user().get("federation/organizations").status_code == 401
    assert operator().get("federation/organizations").status_code == 200


def test_a_bad_token_is_refused_even_where_none_is_needed() -> None:
    caller = Caller(THIS_MACHINE | {"HTTP_AUTHORIZATION": "Bearer nonsense"})
    assert caller.get("federation/organizations").status_code == 401
    assert caller.post("federation/register", {"org_id": "org-alpha", "org_name": "Alpha"}).status_code == 401


def test_one_organization_never_sees_anothers_submission() -> None:
    round_id = open_round("org-alpha", "org-beta")
    assert submit(round_id, "org-alpha").status_code == 201
    own = organization("org-alpha").get(f"federation/round/{round_id}/submission")
    other = organization("org-beta").get(f"federation/round/{round_id}/submission")
    assert (own.status_code, other.status_code) == (200, 404)


def test_an_operators_token_names_the_operator_in_the_audit() -> None:
    for org_id in ("org-alpha", "org-beta"):
        register(org_id)
    assert bearer(issued("olivia", OPERATOR)).post("federation/round/start", {}).status_code == 200
    assert AuditEvent.objects.get(kind="round.started").actor == "operator:olivia"
