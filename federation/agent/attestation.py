"""What this organisation attests of releases: made of the verified chain and its own records, kept, then sent."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import orjson

from federation.agent import files
from federation.agent.errors import CheckFailed, Refused
from federation.agent.model_store import fetch_model, newest_basis
from federation.agent.records import RecordSource
from federation.agent.release_review import prove_inclusion
from federation.agent.session import Agent
from federation.agent.state_rows import StoredBlock
from federation.agent.training import basis_of
from federation.round_config import RoundConfig
from flxdr.core import dsse
from flxdr.core.dsse import Envelope
from ledger.chain.block import Header, Provenance, parse_header
from ledger.chain.statement import Organization, OwnUpdate, OwnValidation, sign_statement, statement_of
from models_ml.errors import TooFewFlows
from models_ml.tasks import TASKS

KEPT_STATEMENTS = 1024
PPM = 1_000_000
_NOT_NOW = frozenset({401, 408, 425, 429})


def due(agent: Agent) -> list[StoredBlock]:
    """The newest standing release of every model that this agent trains, where it has not attested it yet."""
    newest = [agent.state.newest_release(name) for name in agent.config.policy.models]
    return [block for block in newest if block is not None and not file_of(agent, block.height).exists()]


def attest(agent: Agent, block: StoredBlock, records: RecordSource) -> Path:
    """Make and keep the statement about a release of the verified chain; one that is kept stays as it is.

    Raises:
        CheckFailed: the release names this organisation, and does not contain its update; or the block is no release.
        Refused, Unreachable: the model or a proof cannot be fetched now.
    """
    path = file_of(agent, block.height)
    if path.exists():
        return path
    header = parse_header(block.header)
    if header.provenance is None:
        raise CheckFailed(f"block {block.height} releases no model", expected="a release")
    own = Organization(
        org_id=agent.org_id,
        trained=agent.org_id in header.provenance.training_orgs,
        update=_own_update(agent, header.provenance),
        validation=_own_validation(agent, header, header.provenance, records),
    )
    statement = statement_of(block.header, own, chain_id=agent.chain_id)
    data = orjson.dumps(sign_statement(statement, agent.key).as_json())
    unsent = _unsent_file(agent, block.height)
    files.make_private_folder(agent.home.statements)
    files.make_private_folder(unsent.parent)
    files.write_durably(unsent, data)
    files.write_durably(path, data)
    files.keep_newest(agent.home.statements, KEPT_STATEMENTS)
    return path


def unsent(agent: Agent) -> list[int]:
    """Heights of the releases whose statement the coordinator has not answered yet."""
    folder = _unsent_file(agent, 0).parent
    return sorted(int(path.stem) for path in folder.glob("*.json")) if folder.exists() else []


def send(agent: Agent, height: int) -> str | None:
    """Give the coordinator the statement about the release at a height. Sending it again changes nothing.

    Returns:
        Why it was refused for good; None if it was taken.

    Raises:
        Refused, Unreachable: for a reason that may pass; it stays to be sent.
    """
    waiting = _unsent_file(agent, height)
    kept = waiting if waiting.exists() else file_of(agent, height)
    envelope = _by_present_key(agent, Envelope.from_json(orjson.loads(kept.read_bytes())), kept)
    refused = None
    try:
        agent.coordinator.post(f"blockchain/blocks/{height}/statements", envelope.as_json())
    except Refused as refusal:
        if refusal.http_status in _NOT_NOW:
            raise
        refused = refusal.detail
    waiting.unlink(missing_ok=True)
    return refused


def _by_present_key(agent: Agent, envelope: Envelope, kept: Path) -> Envelope:
    """The same statement signed by the key in use: the one that signed it first may have been rotated since."""
    if any(key_id == agent.key.public.key_id for key_id, _ in envelope.signatures):
        return envelope
    signature = dsse.sign(agent.key, envelope.payload_type, envelope.payload)
    anew = replace(envelope, signatures=[(agent.key.public.key_id, signature)])
    files.write_durably(kept, orjson.dumps(anew.as_json()))
    return anew


def file_of(agent: Agent, height: int) -> Path:
    """Where the statement about the release at a height is kept."""
    return agent.home.statements / f"{height}.json"


def _unsent_file(agent: Agent, height: int) -> Path:
    return agent.home.statements / "unsent" / f"{height}.json"


def _own_update(agent: Agent, provenance: Provenance) -> OwnUpdate | None:
    own = agent.state.update_for(provenance.round_id)
    if own is None or own.outcome != "accepted" or agent.org_id not in provenance.training_orgs:
        return None
    index, proof = prove_inclusion(agent, provenance, own)
    return OwnUpdate(own.wire_digest, own.samples, index, tuple(node.hex() for node in proof))


def _own_validation(
    agent: Agent, header: Header, provenance: Provenance, records: RecordSource
) -> OwnValidation | None:
    """How the parent and the release do on this organisation's validation records, where it can say."""
    task = TASKS.get(provenance.model_name)
    if task is None or not records.is_configured:
        return None
    assert header.model_hash is not None
    own = agent.state.update_for(provenance.round_id)
    if own is not None:
        basis = basis_of(agent, RoundConfig.decode(own.config))
    else:
        basis = newest_basis(agent, provenance.model_name, below=header.height)
    held, parent = records.load().validation, provenance.parent_model_hash
    scores: list[int | None] = []
    try:
        # An untrained parent is no yardstick.
        for model_hash in (parent if provenance.model_version > 1 else None, header.model_hash):
            if model_hash is None:
                scores.append(None)
                continue
            score = task.evaluate(fetch_model(agent, model_hash), held, basis=basis)[task.score_name]
            scores.append(round(score * PPM) if math.isfinite(score) else None)
    except TooFewFlows:
        return None
    before, after = scores
    return None if after is None else OwnValidation(task.score_name, before, after)
