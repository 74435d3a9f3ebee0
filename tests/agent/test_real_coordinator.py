"""Three agents against the real coordinator, over real HTTP: from enrolment to sealed releases and a verified chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

import httpx
from django.core.management import call_command
from typer.testing import CliRunner

from federation.agent.commands.app import app
from flxdr.core.clock import SystemClock
from ledger.models import Proposal
from ledger.services.proposals import expire_due
from tests.agent.real_federation import ORGS, Federation


def test_from_enrolment_to_a_verified_chain(federation: Federation) -> None:
    federation.enrol("org-a", "--algorithm", "Ed25519")
    federation.turn()
    federation.enrol("org-b")
    federation.turn()
    federation.enrol("org-c")
    admissions = federation.turn("org-a", "org-b")
    assert [event["decision"] for event in admissions if event["event"] == "vote"] == ["approve", "approve"]

    federation.round("edge-normaliser", weighting="samples")
    local = {"epochs": 5, "batch_size": 16, "learning_rate_ppm": 50_000}
    for _ in range(2):
        federation.round("edge-classifier", weighting="equal", local=local)

    for org_id in ORGS:
        (report,) = federation.cli(org_id, "verify")
        assert (report["chain_valid"], report["blocks_verified"]) == (True, 7)
        assert report["unanchored"] <= 1
        federation.cli(org_id, "run", "--once")
        (status,) = federation.cli(org_id, "status")
        assert (status["height"], status["member"], status["members"]) == (6, True, list(ORGS))
        assert status["releases"]["edge-classifier"]["version"] == 2
        last = status["last_update"]
        assert (last["outcome"], last["left_out_reason"]) == ("accepted", None)
        assert last["anomaly_score"] >= 0

    federation.turn("org-a", "org-b")  # every block was cosigned as it came; now each sees that the others did
    for org_id in ORGS:
        (status,) = federation.cli(org_id, "status")
        assert (status["checkpoint"]["size"], status["checkpoint"]["cosigned"]) == (7, True)
        assert status["cosigned"] == {"size": 7, "by": list(ORGS)}
    answer = httpx.get(f"{federation.url}/api/fl-blockchain/blockchain/checkpoint", params={"cosigned": 3})
    assert answer.text.split("\n")[1] == "7"
    (federation.folder / "note").write_text(answer.text)
    key = httpx.get(answer.request.url, headers={"Accept": "application/json"}).json()["log_key"]
    (report,) = federation.cli("org-a", "verify", "--checkpoint", str(federation.folder / "note"), "--log-key", key)
    assert (report["unanchored"], report["last_good_checkpoint"]["size"]) == (0, 7)

    served = httpx.get(f"{federation.url}/api/fl-blockchain/blockchain/blocks/6/statements").json()
    assert [item["org_id"] for item in served["statements"]] == list(ORGS)
    listed, chain = federation.folder / "statements.json", federation.folder / "chain.jsonl"
    listed.write_text(json.dumps(served))
    call_command("export_chain", str(chain))
    arguments = ("verify-statement", str(listed), "--export", str(chain), "--genesis", status["genesis"], "--json")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert [item["own_update"] for item in json.loads(result.stdout)["statements"]] == [True] * 3

    (found,) = federation.cli("org-c", "evaluate", "latest")
    assert (found["block_height"], list(found["basis"])) == (6, ["edge-normaliser"])
    assert found["metrics"]["macro_binary_f1"] > 0.9
    assert federation.cli("org-a", "proposals")[0]["proposals"] == []


def test_a_rejected_release_ends_with_the_signed_reason(federation: Federation) -> None:
    for org_id in ORGS[:2]:
        federation.enrol(org_id, "--releases", "manual")
        federation.turn()
    round_id = federation.start_round("edge-normaliser", min_orgs_required=2)
    federation.turn("org-a", "org-b")
    (waiting,) = [event for event in federation.turn("org-a") if event["event"] == "ask"]
    number = str(waiting["proposal"])

    federation.cli("org-a", "approve", number)
    (answer,) = federation.cli("org-b", "reject", number, "--reason", "we saw something odd")
    assert answer["proposal_status"] == "rejected"
    url = f"{federation.url}/api/fl-blockchain"
    assert httpx.get(f"{url}/federation/round/{round_id}/status").json()["status"] == "failed"
    assert "we saw something odd" in httpx.get(f"{url}/blockchain/proposals/{number}").json()["end_reason"]
    federation.cli("org-a", "approve", number)  # the vote stands in the book; the coordinator's no is no error

    # The other member's signed rejection proves that the first block cannot be sealed: its height is free again.
    federation.start_round("edge-normaliser", min_orgs_required=2)
    federation.turn("org-a", "org-b")
    (waiting,) = [event for event in federation.turn("org-a") if event["event"] == "ask"]
    federation.cli("org-a", "approve", str(waiting["proposal"]))
    (answer,) = federation.cli("org-b", "approve", str(waiting["proposal"]))
    assert answer["proposal_status"] == "sealed"


def test_an_expired_release_does_not_bind_its_approvers_for_ever(federation: Federation) -> None:
    federation.enrol("org-a")
    federation.turn()
    federation.enrol("org-b", "--releases", "manual")
    federation.turn()
    federation.start_round("edge-normaliser", min_orgs_required=2)
    federation.turn("org-a", "org-b")
    federation.turn("org-a")
    assert Proposal.objects.filter(status="open").update(deadline=datetime(2026, 1, 1, tzinfo=UTC)) == 1
    assert expire_due(clock=SystemClock()) == 1

    federation.start_round("edge-normaliser", min_orgs_required=2)
    federation.turn("org-a", "org-b")
    bound = [event for event in federation.turn("org-a") if event["event"] == "ask"]
    assert "approved block" in bound[0]["reason"]
    federation.turn("org-b")  # renounces the expired block that it never answered
    (vote,) = [event for event in federation.turn("org-a") if event["event"] == "vote"]
    assert vote["decision"] == "approve"


def test_a_home_without_its_registration_is_refused(federation: Federation) -> None:
    federation.enrol("org-a")
    federation.turn()
    (answer,) = federation.cli("org-a", "enrol")
    assert answer["genesis_trust"] == "pinned-before"

    names = ("--org-id", "org-a", "--name", "Org-A", "--coordinator", federation.url)
    federation.cli("thief", "init", *names)
    (refusal,) = federation.cli("thief", "enrol", exit_code=4)
    assert refusal["error"]["http_status"] == 409


def approve_by_hand(federation: Federation, *org_ids: str) -> None:
    """The open proposal's voters approve it on their own word."""
    federation.tasks.run()
    (proposal,) = Proposal.objects.filter(status="open")
    for org_id in org_ids:
        federation.cli(org_id, "approve", str(proposal.pk))
    proposal.refresh_from_db()
    assert proposal.status == "sealed"


def test_keys_and_releases_come_and_go(federation: Federation) -> None:
    """Keys are rotated and rounds go on; a release is withdrawn and the next one leaves it out; a key is revoked."""
    for number, org_id in enumerate(ORGS):
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[:number])
    federation.round("edge-normaliser")

    (rotation,) = federation.cli("org-a", "keys", "rotate", "--algorithm", "ML-DSA-65")
    assert rotation["status"] == "open"
    federation.turn("org-b", "org-c")
    federation.round("edge-normaliser")
    (listed,) = federation.cli("org-a", "keys", "list")
    assert [(key["key_id"], key["home"]) for key in listed["keys"]] == [(rotation["next_key_id"], "in use")]
    assert not (federation.folder / "org-a" / "next-key.json").exists()

    url = f"{federation.url}/api/fl-blockchain"
    withdrawal = {"model_name": "edge-normaliser", "model_version": 1, "reason": "trained on a poisoned feed"}
    assert httpx.post(f"{url}/blockchain/governance/withdraw", json=withdrawal).status_code == 200
    approve_by_hand(federation, *ORGS)
    federation.turn(*ORGS)
    (status,) = federation.cli("org-b", "status")
    assert status["releases"]["edge-normaliser"] == {"version": 0, "model_hash": None, "newest": 2}
    *_, first, initial = httpx.get(f"{url}/federation/models").json()["models"]
    withdrawn = httpx.get(f"{url}/federation/model/{first['model_hash']}")
    assert (withdrawn.status_code, withdrawn.headers["Model-Standing"]) == (200, "withdrawn")
    federation.round("edge-normaliser")
    models = httpx.get(f"{url}/federation/models").json()["models"]
    assert [(model["version"], model["status"], model["parent_hash"]) for model in models[:2]] == [
        (3, "released", initial["model_hash"]),
        (2, "withdrawn", first["model_hash"]),
    ]

    call_command("rotate_coordinator_key", stdout=StringIO(), stderr=StringIO())
    approve_by_hand(federation, *ORGS)
    assert [event for event in federation.turn(*ORGS) if event["event"] == "failure"] == []

    federation.cli("org-c", "keys", "revoke", "--reason", "the laptop was stolen", "--compromised-since", "5")
    approve_by_hand(federation, "org-a", "org-b")
    (refusal,) = federation.cli("org-c", "run", "--once", exit_code=4)
    assert refusal["error"]["http_status"] in {401, 403}
    (report,) = federation.cli("org-a", "verify")
    assert report["chain_valid"]
    assert any("org-c" in warning for warning in report["warnings"])
