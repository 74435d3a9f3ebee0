"""Enrolment: proof of possession over the pinned chain, trust on first use said out loud."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from federation import statements
from flxdr.core import dsse
from flxdr.core.keys import PublicKey
from tests.agent.conftest import ORG, MakeBench


def test_trust_on_first_use_is_said_out_loud(make_bench: MakeBench) -> None:
    bench = make_bench(enrolled=False)
    result = bench.cli("enrol")
    assert result.exit_code == 0
    assert "on the coordinator's word alone" in result.stderr
    assert bench.open().chain_id == bench.coordinator.genesis


def test_the_proof_is_over_this_chain_and_key(make_bench: MakeBench) -> None:
    bench = make_bench(enrolled=False)
    answer = bench.cli_json("enrol", "--token", "secret", "--genesis", bench.coordinator.genesis)
    assert answer["genesis_trust"] == "given"

    body = bench.coordinator.registered[ORG]
    key = PublicKey.from_text(body["crypto_pubkey"])
    assert key.key_id == bench.key.public.key_id
    assert body["enrolment_token"] == "secret"
    statement = statements.registration(
        org_id=ORG, org_name=bench.config.name, key_id=key.key_id, chain_id=bench.coordinator.genesis
    )
    dsse.verify(key, base64.b64decode(body["key_proof"]), dsse.REGISTRATION_TYPE, statement)


def test_a_coordinator_that_tells_strangers_nothing_needs_a_given_genesis(make_bench: MakeBench) -> None:
    bench = make_bench(enrolled=False)
    bench.coordinator.open_head = False
    assert "--genesis" in bench.cli("enrol").stderr
    assert bench.coordinator.registered == {}
    assert bench.cli_json("enrol", "--genesis", bench.coordinator.genesis)["status"] == "active"


@pytest.mark.parametrize(("genesis", "exit_code"), [("f" * 64, 1), ("F" * 64, 2), ("abc", 2)])
def test_another_genesis_is_refused_before_anything_is_sent(
    make_bench: MakeBench, genesis: str, exit_code: int
) -> None:
    bench = make_bench(enrolled=False)
    assert bench.cli("enrol", "--genesis", genesis).exit_code == exit_code
    assert bench.coordinator.registered == {}
    assert bench.open().state.pin("chain_id") is None


def test_a_pinned_genesis_is_never_replaced(make_bench: MakeBench) -> None:
    bench = make_bench(enrolled=False)
    bench.cli_json("enrol")
    assert bench.cli_json("enrol")["genesis_trust"] == "pinned-before"
    assert bench.cli("enrol", "--genesis", "e" * 64).exit_code == 5

    bench.coordinator.lie["blockchain/head"] = lambda _, answer: answer | {"chain_id": "e" * 64}
    assert bench.cli("enrol").exit_code == 1
    assert bench.open().chain_id == bench.coordinator.genesis


@pytest.mark.parametrize(
    "lie", [lambda _, answer: answer | {"org_id": "org-z"}, lambda _, answer: answer | {"org_id": None}]
)
def test_a_registration_of_somebody_else_is_refused(make_bench: MakeBench, lie: Any) -> None:
    bench = make_bench(enrolled=False)
    bench.coordinator.lie["federation/register"] = lie
    assert bench.cli("enrol").exit_code == 1
    assert bench.open().state.pin("chain_id") is None
