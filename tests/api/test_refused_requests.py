"""Bad requests beside submissions: a clear 4xx each, and nothing of them stored."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from flxdr.core.keys import PrivateKey
from tests.api.callers import organization, own_user, refuse_with, stranger
from tests.api.rounds import open_round, register, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def round_id() -> str:
    return open_round("org-alpha", "org-beta", round_number=1, min_orgs_required=2)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"round_number": 2}, 409, "wrong_round_number"),
        ({"round_number": 0}, 400, None),
        ({"round_number": "1"}, 400, None),
        ({"round_number": True}, 400, None),
        ({"round_number": 1.0}, 400, None),
        ({"min_orgs_required": 3}, 409, "too_few_organizations"),
        ({"min_orgs_required": 0}, 400, None),
        ({"aggregation_method": "FedMagic"}, 422, None),
        ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "mode"}}, 422, None),
        ({"aggregation_method": "RobustAggregator", "aggregation_params": {"robust_method": "krum"}}, 409, None),
        ({"aggregation_params": {"robust_method": ["krum"]}}, 400, None),
        ({"aggregation_params": {"lambda_ppm": True}}, 400, None),
        ({"aggregation_params": {"lambda_ppm": 1.0}}, 400, None),
        ({"aggregation_params": {"lambda_ppm": None}}, 400, None),
        ({"aggregation_params": {"lambda_ppm": "1"}}, 422, "invalid_aggregation"),
        ({"aggregation_params": {"lambda_ppm": 1_000_001}}, 422, "invalid_aggregation"),
        ({"aggregation_params": {"byzantine": 1}}, 422, "invalid_aggregation"),
        ({"aggregation_params": []}, 400, None),
        ({"model": "edge-normaliser", "weighting": "equal"}, 409, "incompatible_aggregation"),
        ({"model": "no-such-model"}, 404, "model_not_found"),
        ({"protection": "magic"}, 422, None),
        ({"timeout": 0}, 400, None),
        ({"local": {"epochs": -1}}, 422, None),
        ({"surprise": 1, "another": 2}, 400, None),
    ],
)
def test_a_round_that_cannot_be_is_not_started(fields: dict[str, Any], status: int, code: str | None) -> None:
    for org_id in ("org-alpha", "org-beta"):
        register(org_id)
    before = stored()
    refuse_with(own_user().post("federation/round/start", fields), status, code)
    assert stored() == before


def test_unknown_fields_are_named() -> None:
    response = own_user().post("federation/round/start", {"surprise": 1, "another": 2})
    text = response.content.decode()
    assert "surprise" in text
    assert "another" in text


def test_a_round_needs_two_organizations() -> None:
    register("org-alpha")
    before = stored()
    refuse_with(own_user().post("federation/round/start", {}), 409, "too_few_organizations")
    assert stored() == before


def test_one_round_at_a_time(round_id: str) -> None:
    before = stored()
    problem = refuse_with(own_user().post("federation/round/start", {}), 409, "round_open")
    assert problem["round_id"] == round_id
    assert stored() == before


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"org_id": ...}, 400, None),
        ({"org_name": ...}, 400, None),
        ({"org_id": "../etc"}, 422, "invalid_registration"),
        ({"org_id": "coordinator"}, 422, "invalid_registration"),
        ({"org_id": "x" * 65}, 400, None),
        ({"org_id": 5}, 400, None),
        ({"org_id": "org-alpha\n"}, 422, "invalid_registration"),
        ({"org_id": " org-alpha"}, 422, "invalid_registration"),
        ({"org_name": 5}, 400, None),
        ({"data_sources": {"soc": 5}}, 400, None),
        ({"org_name": ""}, 400, None),
        ({"org_name": None}, 400, None),
        ({"data_sources": ["a"]}, 400, None),
        ({"crypto_pubkey": "pk_..."}, 422, "invalid_key"),
        ({"crypto_pubkey": "AAAA"}, 422, "invalid_key"),
        ({"crypto_pubkey": "A" * 20_000}, 400, None),
        ({"key_proof": "%%%"}, 400, None),
        ({"key_proof": "AAAA"}, 422, "invalid_registration"),
        ({"enrolment_token": "unknown"}, 403, "enrolment_token_refused"),
        ({"surprise": 1}, 400, None),
    ],
)
def test_a_bad_registration_is_refused(fields: dict[str, Any], status: int, code: str | None) -> None:
    body = {"org_id": "org-alpha", "org_name": "Alpha"} | fields
    before = stored()
    response = stranger().post("federation/register", {k: v for k, v in body.items() if v is not ...})
    refuse_with(response, status, code)
    assert stored() == before


def test_a_key_without_a_valid_proof_is_refused() -> None:
    key = PrivateKey.generate()
    body = {
        "org_id": "org-alpha",
        "org_name": "Alpha",
        "crypto_pubkey": key.public.to_base64(),
        "key_proof": base64.b64encode(key.sign(b"something else")).decode(),
    }
    before = stored()
    refuse_with(stranger().post("federation/register", body), 422, "invalid_signature")
    assert stored() == before


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"{", b'{"org_id": NaN}', b"[" * 60_000])
def test_other_documents_are_refused_too(body: bytes) -> None:
    before = stored()
    refuse_with(stranger().send("federation/register", body, "application/json"), 400)
    assert stored() == before


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 411, "length_required"),
        ({"CONTENT_LENGTH": "0"}, 400, "empty_body"),
        ({"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"}, 411, "length_required"),
        ({"CONTENT_LENGTH": str(10**9)}, 413, "too_large"),
    ],
)
@pytest.mark.parametrize("path", ["federation/register", "federation/round/start", "federation/campaign/start"])
def test_documents_have_a_length(path: str, headers: dict[str, str], status: int, code: str) -> None:
    refuse_with(own_user().send(path, b"", "application/json", **headers), status, code)


def test_decisions_take_a_reason_at_most() -> None:
    register("org-alpha")
    caller = own_user()
    for body, wrong in (({"cause": "x"}, "cause"), ({"reason": "x" * 301}, "reason"), ({"reason": 7}, "reason")):
        response = caller.post("federation/organizations/org-alpha/suspend", body)
        assert wrong in str(refuse_with(response, 400)["errors"])
    response = caller.post("federation/organizations/org-alpha/suspend", {"reason": "line\nline"})
    refuse_with(response, 422, "invalid_reason")
    response = caller.post("federation/organizations/org-alpha/approve", {"reason": "x"})
    assert "reason" in str(refuse_with(response, 400)["errors"])
    assert caller.post("federation/organizations/org-alpha/suspend", {}).status_code == 202


def test_documents_are_small() -> None:
    body = json.dumps({"org_id": "org-alpha", "org_name": "x" * 100_000}).encode()
    refuse_with(stranger().send("federation/register", body, "application/json"), 413, "too_large")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("federation/organizations", {"limit": 0}),
        ("federation/organizations", {"limit": "1.0"}),
        ("federation/organizations", {"offset": -1}),
        ("federation/organizations", {"page": 2}),
        ("federation/rounds", {"limit": "many"}),
        ("federation/models", {"sort": "name"}),
        ("federation/status", {"modell": "global"}),
        ("federation/status", {"model": "a\x00b"}),
        ("federation/rounds", {"model": ""}),
        ("federation/round/current", {"wait": 26}),
        ("federation/round/current", {"wait": "nan"}),
        ("federation/round/none/status", {"verbose": 1}),
    ],
)
def test_bad_query_parameters_are_refused(path: str, query: dict[str, Any]) -> None:
    register("org-alpha")
    refuse_with(organization("org-alpha").get(path, query), 400)


@pytest.mark.parametrize(
    "path",
    [
        "federation/round/none/status",
        "federation/round/none/submission",
        "federation/campaign/999",
        f"federation/model/{'0' * 64}",
        "federation/model/..%2f..%2fsecret",
        "federation/round/%00/status",
        "federation/model/%F0%9F%A4%96",
        "federation/status?model=no-such-model",
    ],
)
def test_what_does_not_exist_is_not_found(path: str) -> None:
    register("org-alpha")
    refuse_with(organization("org-alpha").get(path), 404)


def test_methods_that_an_endpoint_lacks_are_refused(round_id: str) -> None:
    assert own_user().get("federation/round/start").status_code == 405
    assert own_user().post("federation/organizations").status_code == 405
