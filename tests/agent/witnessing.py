"""An agent that holds and cosigns checkpoints, and chains with two histories."""

from __future__ import annotations

from typing import Any

import httpx

from federation.agent import chain, witness
from federation.agent.session import Agent
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain import checkpoint as notes
from ledger.chain.record import ChainRecord
from tests.agent.conftest import PEER, Bench
from tests.ledger.checkpoints import checkpoint_document, cosigning

CHECKPOINT = "blockchain/checkpoint"
COSIGNATURES = "blockchain/checkpoint/cosignatures"


def attend(agent: Agent) -> bool:
    return witness.attend(agent, chain.follow(agent)) is not None


def fresh() -> PrivateKey:
    return PrivateKey.generate(Algorithm.ED25519)


def asked(bench: Bench, path: str) -> list[httpx.Request]:
    return [request for request in bench.coordinator.requests if request.url.path.endswith(path)]


def another_history(bench: Bench, org_id: str = "org-x") -> list[ChainRecord]:
    """The same chain but for its newest block, which the same members signed."""
    coordinator, newest, peers = bench.coordinator, bench.coordinator.records[-1], dict(bench.coordinator.peers)
    del coordinator.records[-1]
    coordinator.peers = {name: key for name, key in peers.items() if name in coordinator.state.keys.members}
    coordinator.admit(org_id, fresh())
    other = list(coordinator.records)
    coordinator.records[-1], coordinator.peers = newest, peers
    return other


def cosigned_by_peer(bench: Bench, records: list[ChainRecord]) -> dict[str, Any]:
    """The checkpoint of `records` with a genuine cosignature of org-b's witness."""
    document = checkpoint_document(records, len(records), coordinator=bench.coordinator.key)
    text = notes.parse(document["note"].encode()).text
    posted = cosigning(bench.coordinator.genesis, PEER, text, org_key=bench.coordinator.peers[PEER])
    note = f"{document['note']}{posted['cosignature']}\n"
    return document | {
        "note": note,
        "witnesses": [{"org_id": PEER, "witness_key_statement": posted["witness_key_statement"]}],
    }
