"""Masked rounds of three real agents at the real coordinator, over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from federation.selectors import masking
from tests.agent.real_federation import ORGS, Federation


def masked_round(federation: Federation, model: str, **fields: Any) -> tuple[str, list[Any]]:
    """A whole round; its id, and what the agents told."""
    round_id = federation.start_round(model, **({"protection": "secagg"} | fields))
    told: list[Any] = []
    for _ in range(8):
        told += federation.turn(*ORGS)
        status = httpx.get(f"{federation.url}/api/fl-blockchain/federation/round/{round_id}/status").json()
        if status["status"] in {"completed", "failed"}:
            break
    assert status["status"] == "completed", (status, told)
    return round_id, told


def test_a_masked_round_releases_the_mean_that_a_plain_one_would(federation: Federation) -> None:
    for org_id in ORGS:
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    masked_round(federation, "edge-normaliser", weighting="samples")


def test_a_paillier_round(federation: Federation, env: Any) -> None:
    env(paillier_modulus_bits="2048")
    for org_id in ORGS:
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    _, told = masked_round(federation, "edge-normaliser", protection="paillier", weighting="samples")
    votes = [event for event in told if event["event"] == "vote"]
    assert [vote["decision"] for vote in votes] == ["approve"] * 3, votes
    assert all(
        "7. The openings of the encrypted sums are right, and give this model." in vote["steps"] for vote in votes
    )


def test_a_coordinator_that_serves_other_openings_gets_no_approval(
    federation: Federation, env: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    env(paillier_modulus_bits="2048")
    for org_id in ORGS:
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    truly = masking.opened_file
    monkeypatch.setattr(masking, "opened_file", lambda *asked, openings: truly(*asked, openings=False))
    federation.start_round("edge-normaliser", protection="paillier")
    votes: list[Any] = []
    for _ in range(8):
        votes += [event for event in federation.turn(*ORGS) if event["event"] == "vote"]
        if votes:
            break
    assert {vote["decision"] for vote in votes} == {"reject"}, votes
    assert all("serves other openings than the release names" in str(vote) for vote in votes)
