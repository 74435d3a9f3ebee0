"""Group 7: the guide's fourteen endpoints, over a real port, with the guide's bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flxdr.demo.processes import run
from flxdr.installation.coordinator import MANAGE, Coordinator
from flxdr.installation.outcome import require

ENDPOINTS = 14
ALPHA = {
    "org_id": "org-alpha",
    "org_name": "Alpha Security Center",
    "data_sources": {"soc_logs": "/path/to/soc/logs", "pasm_embeddings": "/path/to/pasm"},
}
GRADIENT = {"model_weights": [[0.1, 0.2], [0.3, 0.4]], "shape": [2, 2], "samples_seen": 1024}
FIELDS: Mapping[str, frozenset[str]] = {
    "federation/register": frozenset({"org_id", "registered_at", "status"}),
    "federation/organizations": frozenset({"organizations", "total"}),
    "federation/round/start": frozenset({"round_id", "round_number", "status", "participants", "started_at"}),
    "federation/round/submit-gradient": frozenset({"status", "gradient_id", "received_at"}),
    "federation/round/{round_id}/status": frozenset(
        {"round_id", "status", "orgs_submitted", "orgs_expected", "phase", "convergence_metric"}
    ),
    "federation/status": frozenset(
        {
            "current_round",
            "total_orgs",
            "active_orgs",
            "global_model_version",
            "last_aggregation",
            "training_accuracy",
            "privacy_budget_used",
        }
    ),
    "blockchain/ledger/blocks": frozenset({"blocks", "total", "limit", "offset"}),
    "blockchain/ledger/block/{height}": frozenset({"height", "timestamp", "model_hash", "provenance", "signatures"}),
    "blockchain/ledger/verify": frozenset(
        {"chain_valid", "blocks_verified", "last_block_hash", "verification_timestamp"}
    ),
    "blockchain/provenance/{model_hash}": frozenset({"model_hash", "lineage"}),
    "privacy/config": frozenset(
        {"differential_privacy", "homomorphic_encryption", "secure_aggregation", "gradient_sanitization"}
    ),
    "privacy/budget": frozenset(
        {"epsilon_total", "epsilon_used", "epsilon_remaining", "rounds_trained", "rounds_until_budget_exhausted"}
    ),
    "health": frozenset({"status", "timestamp"}),
    "info": frozenset({"system", "version", "components", "api_endpoints"}),
}
"""The fields that the guide shows in each answer."""


def routes(coordinator: Coordinator) -> str:
    """Go the guide's way through all of them; `coordinator` has a released model already."""
    asked = Asked(coordinator)
    asked.post("federation/register", ALPHA)
    listed = asked.get("federation/organizations")["organizations"]
    require(ALPHA["org_id"] in [each["org_id"] for each in listed], "the registered organisation is not listed", listed)
    started = asked.post(
        "federation/round/start", {"round_number": 1, "aggregation_method": "FedProx", "min_orgs_required": 2}
    )
    round_id = started["round_id"]
    token = run([*MANAGE, "issue_token", str(ALPHA["org_id"])], coordinator.environment).splitlines()[-1]
    accepted = asked.post(
        "federation/round/submit-gradient",
        {"round_id": round_id, "org_id": ALPHA["org_id"], "gradient": GRADIENT, "metrics": {"loss": 0.45}},
        token,
    )
    require(accepted["status"] == "accepted", "the gradient is not accepted", accepted)
    status = asked.get("federation/round/{round_id}/status", round_id=round_id)
    require(status["orgs_submitted"] == 1, "the gradient is not counted", status)
    asked.get("federation/status")
    blocks = asked.get("blockchain/ledger/blocks")
    released = next((block for block in blocks["blocks"] if block["model_hash"]), None)
    require(released is not None, "no block releases a model", blocks)
    assert released is not None
    asked.get("blockchain/ledger/block/{height}", height=released["height"])
    verified = asked.get("blockchain/ledger/verify")
    require(verified["chain_valid"] is True, "the chain does not verify", verified)
    lineage = asked.get("blockchain/provenance/{model_hash}", model_hash=released["model_hash"])["lineage"]
    require(lineage[0]["block_height"] == released["height"], "the lineage starts elsewhere", lineage)
    for path in ("privacy/config", "privacy/budget"):
        asked.get(path)
    require(asked.get("health")["status"] == "healthy", "the coordinator is not healthy")
    require(asked.get("info")["api_endpoints"] == ENDPOINTS, f"it does not name {ENDPOINTS} endpoints")
    require(asked.answered == FIELDS.keys(), "not asked", sorted(FIELDS.keys() - asked.answered))
    return f"{len(asked.answered)} of the guide's {ENDPOINTS} endpoints answer with its fields at {coordinator.url}"


class Asked:
    """Requests whose answers have the guide's fields."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self.answered: set[str] = set()

    def get(self, endpoint: str, **names: Any) -> dict[str, Any]:
        return self._checked(endpoint, self._coordinator.get(endpoint.format(**names)))

    def post(self, endpoint: str, body: Mapping[str, Any], token: str | None = None) -> dict[str, Any]:
        return self._checked(endpoint, self._coordinator.post(endpoint, body, token))

    def _checked(self, endpoint: str, answer: dict[str, Any]) -> dict[str, Any]:
        missing = FIELDS[endpoint] - answer.keys()
        require(not missing, f"{endpoint} answers without {', '.join(sorted(missing))}", answer)
        self.answered.add(endpoint)
        return answer
