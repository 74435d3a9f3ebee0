"""Bad submissions: a clear 4xx each, and nothing of them stored."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from federation import statements
from federation.models import TrainingRound
from flxdr.core.clock import SystemClock
from flxdr.core.keys import PrivateKey
from flxdr.platform.auth.tokens import ORGANIZATION, issue_token
from models_ml import codec
from tests.api.callers import ELSEWHERE, Caller, bearer, issued, operator, organization, own_user, refuse_with, stranger
from tests.api.rounds import open_round, register, stored, submit, update

pytestmark = pytest.mark.django_db
SUBMIT = "federation/round/submit-gradient"
SAFETENSORS = "application/vnd.safetensors"


@pytest.fixture
def round_id() -> str:
    return open_round("org-alpha", "org-beta", round_number=1, min_orgs_required=2)


def statement_header(round_id: str, **changes: Any) -> dict[str, str]:
    training_round = TrainingRound.objects.get(round_id=round_id)
    fields: dict[str, Any] = {
        "chain_id": "0" * 64,
        "round_id": round_id,
        "config_hash": training_round.config_hash,
        "org": "org-alpha",
        "parent_hash": None,
        "kind": "delta",
        "samples": 10,
        "privacy": {"mechanism": "none"},
        "wire_digest": "0" * 64,
        "metrics": {},
    }
    return {"HTTP_SUBMISSION_STATEMENT": statements.Envelope(statements.submission(**(fields | changes))).compact()}


def raw_json(round_id: str, find: bytes, replace: bytes) -> bytes:
    body = json.dumps(update(round_id, "org-alpha")).encode()
    assert find in body
    return body.replace(find, replace)


def float_bytes(*values: float) -> str:
    return base64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


def base64_update(round_id: str, *values: float) -> dict[str, Any]:
    body = update(round_id, "org-alpha")
    body["gradient"] = {"data": float_bytes(*values), "dtype": "float32", "shape": [len(values)], "samples_seen": 1}
    return body


def refuse_submission(round_id: str, case: str) -> Any:
    """Send the bad submission that `case` names."""
    alpha = organization("org-alpha")
    tensors = codec.encode({"weights": np.array([1, 2], dtype=np.int32)})
    cases: dict[str, Callable[[], Any]] = {
        "unknown organization": lambda: organization("org-nobody").post(SUBMIT, update(round_id, "org-nobody")),
        "no token": lambda: stranger().post(SUBMIT, update(round_id, "org-alpha")),
        "wrong token": lambda: bearer("not.a.token").post(SUBMIT, update(round_id, "org-alpha")),
        "foreign token": lambda: bearer(
            issue_token(key=PrivateKey.generate(), subject="org-alpha", role=ORGANIZATION, lifetime=timedelta(days=1))
        ).post(SUBMIT, update(round_id, "org-alpha")),
        "expired token": lambda: bearer(issued("org-alpha", ORGANIZATION, age=timedelta(days=2))).post(
            SUBMIT, update(round_id, "org-alpha")
        ),
        "no bearer": lambda: Caller(ELSEWHERE | {"HTTP_AUTHORIZATION": "Basic b2xpdmlh"}).post(
            SUBMIT, update(round_id, "org-alpha")
        ),
        "operator": lambda: operator().post(SUBMIT, update(round_id, "org-alpha")),
        "own user": lambda: own_user().post(SUBMIT, update(round_id, "org-alpha")),
        "other organization": lambda: organization("org-beta").post(SUBMIT, update(round_id, "org-alpha")),
        "unknown round": lambda: alpha.post(SUBMIT, update("round-9-none", "org-alpha")),
        "wrong shape": lambda: submit(round_id, "org-alpha", shape=[4]),
        "ragged": lambda: submit(round_id, "org-alpha", model_weights=[[0.1, 0.2], [0.3]]),
        "no samples": lambda: submit(round_id, "org-alpha", samples_seen=0),
        "too many samples": lambda: submit(round_id, "org-alpha", samples_seen=2**60),
        "NaN literal": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.3", b"NaN"), "application/json"),
        "Infinity literal": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.3", b"-Infinity"), "application/json"),
        "huge number": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.3", b"1e400"), "application/json"),
        "large number": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.3", b"1e308"), "application/json"),
        "NaN bytes": lambda: alpha.post(SUBMIT, base64_update(round_id, 1.0, float("nan"))),
        "infinite bytes": lambda: alpha.post(SUBMIT, base64_update(round_id, 1.0, float("inf"))),
        "NaN metric": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.45", b"NaN"), "application/json"),
        "large metric": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.45", b"1e300"), "application/json"),
        "gigabyte": lambda: alpha.send(SUBMIT, b"{}", "application/json", CONTENT_LENGTH=str(10**9)),
        "lying length": lambda: alpha.send(
            SUBMIT, b"{}", "application/json", CONTENT_LENGTH="1000", **{"wsgi.input": io.BytesIO(b"{}")}
        ),
        "no length": lambda: alpha.send(SUBMIT, b"", "application/json"),
        "chunked": lambda: alpha.send(SUBMIT, b"{}", "application/json", HTTP_TRANSFER_ENCODING="chunked"),
        "empty": lambda: alpha.send(SUBMIT, b"", "application/json", CONTENT_LENGTH="0"),
        "compressed": lambda: alpha.send(SUBMIT, b"{}", "application/json", HTTP_CONTENT_ENCODING="gzip"),
        "malformed JSON": lambda: alpha.send(SUBMIT, b'{"round_id": ', "application/json"),
        "nesting bomb": lambda: alpha.send(SUBMIT, raw_json(round_id, b"0.3", b"[" * 200_000), "application/json"),
        "unknown field": lambda: alpha.post(SUBMIT, update(round_id, "org-alpha") | {"surprise": 1}),
        "form": lambda: alpha.send(SUBMIT, b"round_id=1", "application/x-www-form-urlencoded"),
        "no content type": lambda: alpha.send(SUBMIT, b"{}", ""),
        "malformed safetensors": lambda: alpha.send(SUBMIT, tensors[:-1], SAFETENSORS, **statement_header(round_id)),
        "unsigned binary": lambda: alpha.send(SUBMIT, tensors, SAFETENSORS),
        "bad statement": lambda: alpha.send(SUBMIT, tensors, SAFETENSORS, HTTP_SUBMISSION_STATEMENT="%%%"),
        "other statement": lambda: alpha.send(SUBMIT, tensors, SAFETENSORS, **statement_header(round_id)),
        "unknown parameter": lambda: alpha.post(f"{SUBMIT}?force=1", update(round_id, "org-alpha")),
    }
    return cases[case]()


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("unknown organization", 403, "organization_not_active"),
        ("no token", 401, None),
        ("wrong token", 401, "token_invalid"),
        ("foreign token", 401, "token_invalid"),
        ("expired token", 401, "token_expired"),
        ("no bearer", 401, "token_invalid"),
        ("operator", 403, "forbidden"),
        ("own user", 403, "forbidden"),
        ("other organization", 403, "not_your_organization"),
        ("unknown round", 404, "round_not_found"),
        ("wrong shape", 422, "wrong_shape"),
        ("ragged", 422, "wrong_shape"),
        ("no samples", 422, "invalid_samples"),
        ("too many samples", 422, "invalid_samples"),
        ("NaN literal", 400, "malformed_json"),
        ("Infinity literal", 400, "malformed_json"),
        ("huge number", 422, "wrong_shape"),
        ("large number", 422, "invalid_update"),
        ("NaN bytes", 422, "invalid_update"),
        ("infinite bytes", 422, "invalid_update"),
        ("NaN metric", 400, "malformed_json"),
        ("large metric", 422, "invalid_metrics"),
        ("gigabyte", 413, "too_large"),
        ("lying length", 400, "body_truncated"),
        ("no length", 411, "length_required"),
        ("chunked", 411, "length_required"),
        ("empty", 400, "empty_body"),
        ("compressed", 415, "content_encoding_refused"),
        ("malformed JSON", 400, "malformed_json"),
        ("nesting bomb", 400, "malformed_json"),
        ("unknown field", 400, "invalid_body"),
        ("form", 415, "unsupported_media_type"),
        ("no content type", 415, "unsupported_media_type"),
        ("malformed safetensors", 400, "malformed_tensors"),
        ("unsigned binary", 400, "malformed_statement"),
        ("bad statement", 400, "malformed_statement"),
        ("other statement", 422, "statement_mismatch"),
        ("unknown parameter", 400, None),
    ],
)
def test_a_bad_submission_is_refused_and_leaves_nothing(
    round_id: str, case: str, status: int, code: str | None
) -> None:
    before = stored()
    refuse_with(refuse_submission(round_id, case), status, code)
    assert stored() == before


def test_an_operator_is_told_how_to_get_a_token(round_id: str) -> None:
    assert "manage.py issue_token" in refuse_with(refuse_submission(round_id, "own user"), 403)["action"]


def test_the_same_bytes_again_get_the_same_answer(round_id: str) -> None:
    first = submit(round_id, "org-alpha")
    before = stored()
    again = submit(round_id, "org-alpha")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert stored() == before


def test_a_second_different_submission_is_refused(round_id: str) -> None:
    first = submit(round_id, "org-alpha").json()
    before = stored()
    problem = refuse_with(submit(round_id, "org-alpha", samples_seen=2), 409, "already_submitted")
    assert problem["gradient_id"] == first["gradient_id"]
    assert stored() == before


def test_another_shape_than_the_first_submission_fixed_is_refused(round_id: str) -> None:
    assert submit(round_id, "org-alpha").status_code == 201
    before = stored()
    refuse_with(submit(round_id, "org-beta", model_weights=[0.1, 0.2], shape=[2]), 422, "schema_mismatch")
    assert stored() == before


def test_a_closed_round_takes_nothing(round_id: str) -> None:
    register("org-gamma")
    for org_id in ("org-alpha", "org-beta"):
        assert submit(round_id, org_id).status_code == 201
    before = stored()
    refuse_with(submit(round_id, "org-gamma"), 403, "not_a_participant")
    assert stored() == before


def test_after_the_deadline_nothing_is_taken(round_id: str) -> None:
    TrainingRound.objects.update(deadline=SystemClock().now() - timedelta(seconds=1))
    before = stored()
    refuse_with(submit(round_id, "org-alpha"), 409, "round_closed")
    assert stored() == before
