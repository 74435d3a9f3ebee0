"""The rows of the state file as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Decision = Literal["approve", "reject"]
Outcome = Literal["prepared", "accepted", "refused"]


@dataclass(frozen=True)
class StoredBlock:
    """A verified block: its exact header bytes, and what it released, or withdrew (then without a `model_hash`).

    `withdrawn`: a later block withdrew what this one released.
    """

    height: int
    block_hash: str
    header: bytes
    model_name: str | None = None
    model_version: int | None = None
    model_hash: str | None = None
    withdrawn: bool = False


@dataclass(frozen=True)
class Vote:
    """A decision about one proposed block, signed and remembered."""

    block_hash: str
    height: int
    proposal_id: int
    decision: Decision
    reason: str
    signature: bytes
    cast_at: str
    sent: bool = False


@dataclass(frozen=True)
class PreparedUpdate:
    """An update as it was signed for a round; its body lies in the outbox under `wire_digest`."""

    round_id: str
    config: bytes
    wire_digest: str
    samples: int
    statement: bytes
    signature: bytes
    outcome: Outcome = "prepared"
    detail: str = ""


def block_of(row: Sequence[Any]) -> StoredBlock:
    """A row of `block`, and whether a later one withdrew it."""
    height, block_hash, header, model_name, model_version, model_hash, withdrawn = row
    return StoredBlock(height, block_hash, header, model_name, model_version, model_hash, bool(withdrawn))


def vote_of(row: Sequence[object]) -> Vote:
    """A row of `vote`."""
    block_hash, height, proposal_id, decision, reason, signature, cast_at, sent, _ = row
    assert isinstance(height, int)
    assert isinstance(proposal_id, int)
    assert isinstance(signature, bytes)
    assert decision in {"approve", "reject"}
    chosen: Decision = "approve" if decision == "approve" else "reject"
    return Vote(str(block_hash), height, proposal_id, chosen, str(reason), signature, str(cast_at), bool(sent))


def update_of(row: Sequence[object]) -> PreparedUpdate:
    """A row of `round_update`."""
    round_id, config, wire_digest, samples, statement, signature, outcome, detail = row
    assert isinstance(config, bytes)
    assert isinstance(samples, int)
    assert isinstance(statement, bytes)
    assert isinstance(signature, bytes)
    known: Outcome = "accepted" if outcome == "accepted" else "refused" if outcome == "refused" else "prepared"
    return PreparedUpdate(str(round_id), config, str(wire_digest), samples, statement, signature, known, str(detail))
