"""The deployment guide's walk-through, with its own bodies: 14 endpoints from registration to verification."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.urls import get_resolver

import ledger.selectors
from federation import statements
from flxdr.core import dsse
from flxdr.core.clock import SystemClock
from flxdr.core.keys import PrivateKey
from tests.api.callers import organization, own_user, stranger
from tests.api.rounds import run_due_work

pytestmark = pytest.mark.django_db

ALPHA = {
    "org_id": "org-alpha",
    "org_name": "Alpha Security Center",
    "data_sources": {
        "soc_logs": "/path/to/soc/logs",
        "pasm_embeddings": "/path/to/pasm",
        "threat_intel": "/path/to/intel",
    },
}
BETA = {"org_id": "org-beta", "org_name": "Beta Security"}
ROUND = {"round_number": 1, "aggregation_method": "FedProx", "min_orgs_required": 2}
GRADIENT = {"model_weights": [[0.1, 0.2], [0.3, 0.4]], "shape": [2, 2], "samples_seen": 1024}
METRICS = {"loss": 0.45, "accuracy": 0.92}


def with_key(body: dict[str, Any], key: PrivateKey, *, proven: bool) -> dict[str, Any]:
    body = body | {"crypto_pubkey": key.public.to_base64()}
    if not proven:
        return body
    statement = statements.registration(
        org_id=body["org_id"],
        org_name=body["org_name"],
        key_id=key.public.key_id,
        chain_id=ledger.selectors.chain_id(),
    )
    proof = dsse.sign(key, dsse.REGISTRATION_TYPE, statement)
    return body | {"key_proof": base64.b64encode(proof).decode()}


def answer(response: Any, fields: set[str], *, codes: tuple[int, ...] = (200,)) -> dict[str, Any]:
    """The answer, once it has the guide's fields."""
    assert response.status_code in codes, response.content
    assert response["Content-Type"].startswith("application/json")
    body: dict[str, Any] = response.json()
    assert fields <= set(body), fields - set(body)
    return body


def is_timestamp(text: str) -> bool:
    return len(text) >= len("2024-01-15T10:30:00Z") and text[10] == "T" and text.endswith("Z")


@pytest.mark.parametrize("key", ["none", "unproven", "proven"])
def test_the_walk_through(key: str) -> None:
    operator = own_user()
    alpha = ALPHA if key == "none" else with_key(ALPHA, PrivateKey.generate(), proven=key == "proven")
    registered = answer(operator.post("federation/register", alpha), {"org_id", "registered_at", "status"})
    assert (registered["org_id"], registered["status"]) == ("org-alpha", "active")
    assert is_timestamp(registered["registered_at"])
    answer(operator.post("federation/register", BETA), {"org_id", "registered_at", "status"})
    run_due_work()

    listed = answer(operator.get("federation/organizations"), {"organizations", "total"})
    assert listed["total"] == 2
    assert [entry["org_id"] for entry in listed["organizations"]] == ["org-alpha", "org-beta"]
    assert all({"org_id", "status", "last_update"} <= set(entry) for entry in listed["organizations"])

    started = answer(
        operator.post("federation/round/start", ROUND),
        {"round_id", "round_number", "status", "participants", "started_at"},
    )
    assert (started["round_number"], started["status"]) == (1, "in_progress")
    assert started["participants"] == ["org-alpha", "org-beta"]
    assert is_timestamp(started["started_at"])
    round_id = started["round_id"]
    assert round_id.startswith("round-1-")

    for org_id in ("org-alpha", "org-beta"):
        body = {"round_id": round_id, "org_id": org_id, "gradient": GRADIENT, "metrics": METRICS}
        accepted = answer(
            organization(org_id).post("federation/round/submit-gradient", body),
            {"status", "gradient_id", "received_at"},
            codes=(201,),
        )
        assert accepted["status"] == "accepted"
        assert is_timestamp(accepted["received_at"])

    status_fields = {"round_id", "status", "orgs_submitted", "orgs_expected", "phase", "convergence_metric"}
    status = answer(operator.get(f"federation/round/{round_id}/status"), status_fields)
    assert (status["status"], status["phase"]) == ("aggregating", "aggregation")
    assert (status["orgs_submitted"], status["orgs_expected"]) == (2, 2)
    run_due_work()
    status = answer(operator.get(f"federation/round/{round_id}/status"), status_fields)
    assert status["status"] == "completed"
    # FedProx from zero with lambda = 0.01: 0.99 times the mean of two equal updates
    assert status["convergence_metric"] == pytest.approx(0.99 * 0.3**0.5, rel=1e-5)

    federation = answer(
        operator.get("federation/status"),
        {
            "current_round",
            "total_orgs",
            "active_orgs",
            "global_model_version",
            "last_aggregation",
            "training_accuracy",
            "privacy_budget_used",
        },
    )
    assert (federation["current_round"], federation["total_orgs"], federation["active_orgs"]) == (1, 2, 2)
    assert federation["global_model_version"] == "v1"
    assert federation["training_accuracy"] == pytest.approx(0.92)
    assert federation["privacy_budget_used"] == 0
    assert is_timestamp(federation["last_aggregation"])

    blocks = answer(
        operator.get("blockchain/ledger/blocks", {"limit": 10, "offset": 0}), {"blocks", "total", "limit", "offset"}
    )
    assert (blocks["limit"], blocks["offset"]) == (10, 0)
    newest = blocks["blocks"][0]
    assert {"height", "timestamp", "model_hash", "signatures"} <= set(newest)
    assert newest["height"] == blocks["total"] - 1

    block = answer(
        operator.get(f"blockchain/ledger/block/{newest['height']}"),
        {"height", "timestamp", "model_hash", "provenance", "signatures"},
    )
    assert block["model_hash"] == newest["model_hash"]
    assert {"round_id", "model_version", "aggregation_method", "training_orgs"} <= set(block["provenance"])
    assert block["provenance"]["aggregation_method"] == "FedProx"
    assert block["provenance"]["training_orgs"] == ["org-alpha", "org-beta"]

    verified = answer(
        operator.get("blockchain/ledger/verify"),
        {"chain_valid", "blocks_verified", "last_block_hash", "verification_timestamp"},
    )
    assert verified["chain_valid"] is True
    assert verified["blocks_verified"] == blocks["total"]

    lineage = answer(operator.get(f"blockchain/provenance/{newest['model_hash']}"), {"model_hash", "lineage"})
    assert {"block_height", "model_version", "parent_model_hash", "training_orgs", "timestamp"} <= set(
        lineage["lineage"][0]
    )
    assert lineage["lineage"][0]["block_height"] == newest["height"]

    config = answer(
        operator.get("privacy/config"),
        {"differential_privacy", "homomorphic_encryption", "secure_aggregation", "gradient_sanitization"},
    )
    assert {"epsilon", "delta", "clipping_norm"} <= set(config["differential_privacy"])
    budget = answer(
        operator.get("privacy/budget"),
        {
            "epsilon_total",
            "epsilon_used",
            "epsilon_remaining",
            "rounds_trained",
            "rounds_until_budget_exhausted",
        },
    )
    assert budget["epsilon_remaining"] == budget["epsilon_total"] - budget["epsilon_used"]

    health = answer(operator.get("health"), {"status", "timestamp"})
    assert health["status"] == "healthy"
    info = answer(operator.get("info"), {"system", "version", "components", "api_endpoints"})
    assert info["system"] == "FL+Blockchain XDR"
    assert info["api_endpoints"] == 14
    assert {"FederationOrchestrator", "PrivacyLayer", "BlockchainLedger", "FederatedModels"} <= set(info["components"])


def test_the_guides_routes_are_the_marked_ones() -> None:
    marked = {
        str(pattern.pattern)
        for included in get_resolver().url_patterns
        for pattern in getattr(included, "url_patterns", [])
        if str(getattr(pattern, "name", "") or "").startswith("contract-")
    }
    assert len(marked) == 14


def test_the_guides_placeholder_is_no_key() -> None:
    response = stranger().post("federation/register", ALPHA | {"crypto_pubkey": "pk_..."})
    assert response.status_code == 422
    problem = response.json()
    assert problem["code"] == "invalid_key"
    assert "ML-DSA-65" in problem["expected"]


def test_registering_again_changes_nothing() -> None:
    first = stranger().post("federation/register", ALPHA)
    again = stranger().post("federation/register", ALPHA)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    other = stranger().post("federation/register", ALPHA | {"org_name": "Somebody Else"})
    assert other.status_code == 409


def test_a_second_round_continues_the_first() -> None:
    operator = own_user()
    for body in (ALPHA, BETA):
        operator.post("federation/register", body)
    hashes: list[str] = []
    for number in (1, 2):
        started = operator.post("federation/round/start", ROUND | {"round_number": number}).json()
        for org_id in started["participants"]:
            body = {"round_id": started["round_id"], "org_id": org_id, "gradient": GRADIENT, "metrics": METRICS}
            assert organization(org_id).post("federation/round/submit-gradient", body).status_code == 201
        run_due_work()
        block = operator.get("blockchain/ledger/blocks", {"limit": 1}).json()["blocks"][0]
        hashes.append(block["model_hash"])
    lineage = operator.get(f"blockchain/provenance/{hashes[1]}").json()["lineage"]
    assert [entry["model_version"] for entry in lineage] == ["v2", "v1"]
    assert lineage[0]["parent_model_hash"] == hashes[0]
    assert SystemClock().now().isoformat()[:4] <= lineage[0]["timestamp"][:4]
