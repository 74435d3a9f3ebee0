"""What an agent approves, and everything that it does not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from federation.agent.errors import CheckFailed
from federation.round_config import RoundConfig
from flxdr.core import dsse
from flxdr.core.clock import format_timestamp
from ledger.chain.approvals import rejection_statement
from ledger.chain.block import block_hash, parse_header
from models_ml import codec, registry
from tests.agent.conftest import ORG, PEER, Bench, MakeBench
from tests.agent.fake_coordinator import PREFIX, FakeCoordinator

CLASSIFIER, NORMALISER = "edge-classifier", "edge-normaliser"


def zeros(model: str) -> dict[str, Any]:
    return {name: array * 0 for name, array in registry.MODELS[model].initial().items()}


def train(bench: Bench, model: str, **changes: Any) -> RoundConfig:
    """A round up to its proposal: the agent submits its update, the peer one of zeros."""
    config = bench.coordinator.start_round(model, **changes)
    bench.run_once()
    bench.coordinator.submit_for(PEER, zeros(model))
    return config


def released(bench: Bench, model: str, **changes: Any) -> None:
    """A whole round, approved and sealed."""
    train(bench, model, **changes)
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    assert bench.coordinator.votes[-1][:2] == (proposal["id"], "approve")
    bench.coordinator.seal_proposal(proposal)


def decisions(bench: Bench) -> list[tuple[int, str]]:
    return [(number, verb) for number, verb, _ in bench.coordinator.votes]


def rejection(bench: Bench) -> str:
    """The reason of the only vote, which must be a rejection that its own signature covers."""
    ((number, verb, body),) = bench.coordinator.votes
    assert verb == "reject"
    statement = rejection_statement(
        block_hash=bench.coordinator.proposals[number - 1]["block_hash"], org_id=ORG, reason=body["reason"]
    )
    dsse.verify(bench.key.public, base64.b64decode(body["signature"]), dsse.REJECTION_TYPE, statement)
    return str(body["reason"])


def test_a_release_that_holds_is_approved_with_a_valid_signature(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    ((_, verb, body),) = bench.coordinator.votes
    assert (verb, body["key_id"]) == ("approve", bench.key.public.key_id)
    header = base64.b64decode(proposal["header"])
    dsse.verify(bench.key.public, base64.b64decode(body["signature"]), dsse.BLOCK_TYPE, header)


def test_release_after_release(bench: Bench) -> None:
    released(bench, NORMALISER)
    normaliser = bench.coordinator.state.releases[NORMALISER].newest.model_hash
    train(bench, CLASSIFIER, normaliser=normaliser)
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    bench.coordinator.seal_proposal(proposal)
    train(bench, CLASSIFIER, normaliser=normaliser)
    bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench) == [(1, "approve"), (2, "approve"), (3, "approve")]


Tamper = Callable[[FakeCoordinator], None]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"round_number": 9}, "round number"),
        ({"aggregation_method": "FedProx"}, "aggregation"),
        ({"aggregation_params": {"lambda_ppm": 1}}, "aggregation parameters"),
        ({"weighting": "samples"}, "weighting"),
        ({"config_hash": "0" * 64}, "configuration"),
        ({"protection": "paillier"}, "protection"),
        ({"privacy": {"mechanism": "gaussian"}}, "privacy mechanism"),
        ({"parent_model_hash": "0" * 64}, "parent"),
        ({"parent_model_hash": None}, "parent"),
        ({"training_orgs": ("org-a", "org-b", "org-x")}, "org-x"),
        ({"training_orgs": ("org-b",)}, "leaves out this organisation"),
        ({"samples_total": 203}, "203 samples"),
        ({"submissions_root": "0" * 64}, "not included"),
        ({"model_version": 2}, "model_version"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_release_with_another_provenance_is_rejected(bench: Bench, changes: dict[str, Any], reason: str) -> None:
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release(**changes)
    bench.run_once()
    assert reason in rejection(bench)


def test_an_optimizer_goes_on_from_the_state_on_the_chain(bench: Bench) -> None:
    method = {"aggregation_method": "FedAdam"}
    train(bench, CLASSIFIER, **method)
    proposal = bench.coordinator.propose_release(optimizer_state_hash="5" * 64)
    bench.run_once()
    bench.coordinator.seal_proposal(proposal)
    train(bench, CLASSIFIER, optimizer_state_hash="5" * 64, **method)
    bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench) == [(1, "approve"), (2, "reject")]
    assert "no optimiser state" in bench.coordinator.votes[-1][2]["reason"]


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregation_method": "FedAdam"},
        {"aggregation_method": "FedAdam", "optimizer_state_hash": "6" * 64},
        {"aggregation_method": "FedYogi", "optimizer_state_hash": "5" * 64},
    ],
    ids=["forgets the state", "another state", "another method's state"],
)
def test_no_update_for_a_round_with_another_optimizer_state(bench: Bench, changes: dict[str, Any]) -> None:
    train(bench, CLASSIFIER, aggregation_method="FedAdam")
    proposal = bench.coordinator.propose_release(optimizer_state_hash="5" * 64)
    bench.run_once()
    bench.coordinator.seal_proposal(proposal)
    config = bench.coordinator.start_round(CLASSIFIER, **changes)
    with pytest.raises(CheckFailed, match="optimiser"):
        bench.run_once()
    assert (config.round_id, ORG) not in bench.coordinator.submitted


@pytest.mark.parametrize(("parent", "votes"), [({}, ["approve"]), ({"parent_model_hash": "0" * 64}, ["reject"])])
def test_a_member_that_did_not_train_checks_what_it_can(bench: Bench, parent: dict[str, Any], votes: list[str]) -> None:
    """With one training organisation all members vote; the first release could name any parent."""
    bench.coordinator.start_round(CLASSIFIER, participants=(PEER,))
    bench.coordinator.submit_for(PEER, zeros(CLASSIFIER))
    bench.coordinator.propose_release(**parent)
    bench.coordinator.config = None
    bench.run_once()
    assert [verb for _, verb in decisions(bench)] == votes


def test_too_few_organisations_are_rejected(bench: Bench) -> None:
    config = bench.coordinator.start_round(CLASSIFIER, min_orgs=3)
    bench.run_once()
    bench.coordinator.submit_for(PEER, zeros(config.model_name))
    bench.coordinator.propose_release()
    bench.run_once()
    assert "at least 3" in rejection(bench)


def test_a_release_without_ones_own_update_is_rejected(bench: Bench) -> None:
    config = train(bench, CLASSIFIER)
    own = bench.coordinator.submitted[config.round_id, ORG]
    other = codec.encode({**codec.decode(own.body), "output.bias": codec.decode(own.body)["output.bias"] + 1})
    bench.coordinator.submitted[config.round_id, ORG] = replace(own, body=other)
    bench.coordinator.propose_release()
    bench.run_once()
    assert "own update is not included" in rejection(bench)


def test_a_changed_sample_count_is_rejected(bench: Bench) -> None:
    config = train(bench, CLASSIFIER)
    own = bench.coordinator.submitted[config.round_id, ORG]
    bench.coordinator.submitted[config.round_id, ORG] = replace(own, statement=own.statement | {"samples": 10_000})
    bench.coordinator.propose_release()
    bench.run_once()
    assert "not included" in rejection(bench)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"code": "not_found"}),
        {"submission_digest": "x"},
        {"proof": ["zz"], "leaf_index": 0, "tree_size": 2},
        {"proof": [], "leaf_index": 0, "tree_size": 1},
        {"proof": None, "leaf_index": None, "tree_size": None},
    ],
    ids=str,
)
def test_a_missing_inclusion_proof_is_rejected(bench: Bench, answer: Any) -> None:
    config = train(bench, CLASSIFIER)
    bench.coordinator.propose_release()
    bench.coordinator.lie[f"federation/round/{config.round_id}/submission"] = lambda _, __: answer
    bench.run_once()
    assert rejection(bench)


def test_other_bytes_than_the_hash_names_are_rejected(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    proposal = bench.coordinator.propose_release()
    model_hash = parse_header(base64.b64decode(proposal["header"])).model_hash
    other = codec.encode(registry.MODELS[CLASSIFIER].initial())
    bench.coordinator.lie[f"federation/model/{model_hash}"] = lambda _, __: other
    bench.run_once()
    assert codec.model_hash(other) in rejection(bench)
    assert model_hash not in {path.stem for path in bench.home.models.iterdir()}


def test_a_model_of_another_schema_is_rejected(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release(registry.MODELS[NORMALISER].initial())
    bench.run_once()
    assert "hidden1.bias is missing" in rejection(bench)


def test_a_model_that_is_worse_than_its_parent_is_rejected(bench: Bench) -> None:
    released(bench, CLASSIFIER)
    bench.coordinator.votes.clear()
    train(bench, CLASSIFIER)
    good = bench.coordinator.aggregate()
    bench.coordinator.propose_release({**good, "output.weight": -good["output.weight"]})
    bench.run_once()
    assert "worse than its parent" in rejection(bench)


def test_the_tolerance_is_the_configured_one(make_bench: MakeBench) -> None:
    bench = make_bench(tolerance=1.0)
    released(bench, CLASSIFIER)
    train(bench, CLASSIFIER)
    good = bench.coordinator.aggregate()
    bench.coordinator.propose_release({**good, "output.weight": -good["output.weight"]})
    bench.run_once()
    assert decisions(bench)[-1] == (2, "approve")


def edited(proposal: dict[str, Any], **changes: Any) -> dict[str, Any]:
    header = parse_header(base64.b64decode(proposal["header"]))
    fields = {name: getattr(header, name) for name in header.__struct_fields__} | changes
    data = type(header)(**fields).encode()
    proposal["header"] = base64.b64encode(data).decode()
    proposal["block_hash"] = block_hash(data)
    return proposal


@pytest.mark.parametrize("field", ["prev_hash", "prev_cert", "chain_id"])
def test_a_header_that_does_not_extend_the_verified_head_is_rejected(bench: Bench, field: str) -> None:
    train(bench, CLASSIFIER)
    edited(bench.coordinator.propose_release(), **{field: "0" * 64})
    bench.run_once()
    assert field in rejection(bench)


def test_a_block_from_the_future_is_rejected(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    later = format_timestamp(bench.coordinator.clock.now() + timedelta(minutes=6))
    edited(bench.coordinator.propose_release(), timestamp=later)
    bench.run_once()
    assert "future" in rejection(bench)


def test_a_lowered_threshold_is_rejected(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    proposal = bench.coordinator.propose_release()
    governance = parse_header(base64.b64decode(proposal["header"])).governance
    edited(proposal, governance=type(governance)(rule="quorum", voters=governance.voters, threshold=1, actions=()))
    bench.run_once()
    assert "threshold" in rejection(bench)


def test_bytes_that_are_not_canonical_are_rejected(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    proposal = bench.coordinator.propose_release()
    data = base64.b64decode(proposal["header"]).replace(b'"v":1', b'"v": 1')
    proposal["header"] = base64.b64encode(data).decode()
    proposal["block_hash"] = block_hash(data)
    bench.run_once()
    assert "canonical" in rejection(bench)


@pytest.mark.parametrize("height", [1, 9])
def test_a_block_for_another_height_is_not_voted_on(bench: Bench, height: int) -> None:
    train(bench, CLASSIFIER)
    edited(bench.coordinator.propose_release(), height=height)
    bench.run_once()
    assert decisions(bench) == []


def test_an_announced_hash_that_is_not_the_headers_is_no_vote(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release()["block_hash"] = "0" * 64
    assert bench.cli("run", "--once").exit_code == 1
    assert decisions(bench) == []


def test_what_cannot_be_fetched_now_is_not_decided(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    proposal = bench.coordinator.propose_release()
    model_hash = parse_header(base64.b64decode(proposal["header"])).model_hash
    bench.coordinator.lie[f"federation/model/{model_hash}"] = lambda _, __: httpx.Response(503)
    assert bench.cli("run", "--once").exit_code == 3
    assert decisions(bench) == []
    bench.coordinator.lie.clear()
    bench.run_once()
    assert decisions(bench) == [(1, "approve")]


def test_requests_about_models_are_authenticated(bench: Bench) -> None:
    train(bench, CLASSIFIER)
    bench.coordinator.propose_release()
    bench.run_once()
    private = [r for r in bench.coordinator.requests if r.url.path != f"{PREFIX}info"]
    assert all(request.headers["Authorization"].startswith("Bearer ") for request in private)
