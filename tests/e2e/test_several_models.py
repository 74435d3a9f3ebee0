"""Models that build on each other, trained in one federation: real processes, real agents."""

from __future__ import annotations

import base64
import json

import httpx

from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, RL_POLICY, TGNN
from tests.e2e.federation import Federation
from tests.support.processes import API


def release_of(federation: Federation, model: str) -> str:
    models = federation.get(f"federation/models?model={model}")["models"]
    return next(str(entry["model_hash"]) for entry in models if entry["status"] == "released")


def test_models_build_on_each_others_releases(federation: Federation) -> None:
    start = f"{federation.coordinator.url}{API}/federation/round/start"
    refused = httpx.post(start, json={"model": RL_POLICY, "min_orgs_required": 2}, timeout=20)
    assert (refused.status_code, refused.json()["code"]) == (409, "basis_missing")
    assert TGNN in refused.json()["detail"]

    for model in (EDGE_NORMALISER, TGNN):
        assert federation.finish(federation.start_round(model)) == "completed"
    together = {model: federation.start_round(model) for model in (EDGE_CLASSIFIER, RL_POLICY)}
    offered = {
        model: federation.members[0].agent.coordinator.get("federation/round/current", {"model": model, "wait": 0})
        for model in together
    }
    for round_id in together.values():
        assert federation.finish(round_id) == "completed"

    local = {
        model: json.loads(base64.b64decode(answer["round"]["config"]))["local"] for model, answer in offered.items()
    }
    normaliser, network = release_of(federation, EDGE_NORMALISER), release_of(federation, TGNN)
    assert local[EDGE_CLASSIFIER]["normaliser_hash"] == local[RL_POLICY]["normaliser_hash"] == normaliser
    assert local[RL_POLICY]["network_hash"] == network
    assert "network_hash" not in local[EDGE_CLASSIFIER]
    registry = {entry["model_name"]: entry for entry in federation.get("federation/models/registry")["models"]}
    assert {name: entry["newest_version"] for name, entry in registry.items()} == dict.fromkeys(registry, 1)
    assert set(registry[RL_POLICY]["requires"]) == {TGNN}
