"""One organisation's part in a round: train, bound, sign and keep the update, then submit it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from federation import statements
from federation.agent import files, own_heads
from federation.agent.errors import CheckFailed, Refused
from federation.agent.model_store import expected_parent, fetch_basis, fetch_model
from federation.agent.private_training import trained_update
from federation.agent.records import Records
from federation.agent.session import Agent
from federation.agent.state_rows import PreparedUpdate
from federation.round_config import RoundConfig
from flxdr.core import dsse
from flxdr.core.keys import PrivateKey, SignatureInvalid
from ledger.chain.block import parse_header
from models_ml import codec, registry
from models_ml.codec import Int32, ModelSchema
from models_ml.errors import TooFewFlows
from models_ml.fixed_point import add_update
from models_ml.local_trainer import LocalConfig, Progress
from models_ml.tasks import Basis, LocalTask, LocalUpdate, task_for
from privacy.mechanism import NO_MECHANISM

KEPT_UPDATES = 32
CONTENT_TYPES = {"delta": "application/vnd.safetensors", "masked": "application/vnd.flxdr.masked-update"}
REPORTED = ("accuracy", "macro_binary_f1")
_NOT_NOW = frozenset({401, 408, 425, 429})


def prepare(agent: Agent, config: RoundConfig, records: Records, progress: Progress | None = None) -> PreparedUpdate:
    """Train for a round and keep the signed update; one that is kept already is returned as it is.

    A crash before the update is kept leaves nothing signed; after it the same bytes and statement are sent again, so
    that no round ever sees two different updates of this organisation. Noise is charged before it is drawn, so a crash
    in between costs privacy and training again costs it again.

    Raises:
        PrivacyLimitReached: the organisation's own limit would be exceeded.
        CheckFailed: the parent or the basis is not what the verified chain says.
    """
    kept = agent.state.update_for(config.round_id)
    if kept is not None:
        return kept
    update = train(agent, config, records, progress)
    return keep(agent, config, codec.encode(update.delta), samples=update.samples, metrics=update.metrics)


def train(agent: Agent, config: RoundConfig, records: Records, progress: Progress | None = None) -> LocalUpdate:
    """Train on this organisation's records: the update within the round's bounds, and what is reported of it.

    Raises:
        PrivacyLimitReached: the organisation's own limit would be exceeded.
        CheckFailed: the parent or the basis is not what the verified chain says.
    """
    parent, basis = parent_of(agent, config), basis_of(agent, config)
    release = agent.state.newest_release(config.model_name)
    task = own_heads.task_with(agent, task_for(config.model_name), parse_header(release.header) if release else None)
    update = trained_update(
        agent,
        config,
        records,
        task=task,
        parent=parent,
        basis=basis,
        local=_local_config(agent, config),
        progress=progress,
    )
    own_heads.keep(agent, task, config.parent_hash)
    if config.privacy != NO_MECHANISM:
        return update
    figures = _validation(task, parent, update.delta, records, basis)
    figures["sanitization_rate"] = records.sanitization_rate
    return replace(update, metrics=update.metrics | figures)


def keep(
    agent: Agent,
    config: RoundConfig,
    body: bytes,
    *,
    samples: int,
    metrics: Mapping[str, float],
    roster_hash: str | None = None,
) -> PreparedUpdate:
    """Sign what is to be submitted, and keep it before anybody learns of it.

    Args:
        body: the update as a tensor file, or masked.
        roster_hash: of a masked round.
    """
    wire_digest = hashlib.sha256(body).hexdigest()
    statement = statements.submission(
        chain_id=config.chain_id,
        round_id=config.round_id,
        config_hash=config.config_hash,
        org=agent.org_id,
        parent_hash=config.parent_hash,
        kind="delta" if roster_hash is None else "masked",
        samples=samples,
        privacy=config.privacy,
        wire_digest=wire_digest,
        metrics=metrics,
        roster_hash=roster_hash,
    )
    prepared = PreparedUpdate(
        round_id=config.round_id,
        config=config.encode(),
        wire_digest=wire_digest,
        samples=samples,
        statement=statement,
        signature=dsse.sign(agent.key, dsse.SUBMISSION_TYPE, statement),
    )
    unfinished = frozenset(other.wire_digest for other in agent.state.unfinished_updates())
    files.write_durably(agent.home.outbox / wire_digest, body)
    files.keep_newest(agent.home.outbox, KEPT_UPDATES, spare=unfinished)
    agent.state.prepare_update(prepared)
    return prepared


def submit(agent: Agent, prepared: PreparedUpdate) -> bool:
    """Send a kept update and remember what became of it. Sending it again changes nothing.

    Returns:
        Whether the round took it.

    Raises:
        CheckFailed: the coordinator confirms other bytes.
        Refused: for a reason that may pass (the update stays to be sent).
    """
    path = agent.home.outbox / prepared.wire_digest
    body = path.read_bytes() if path.exists() else b""
    if hashlib.sha256(body).hexdigest() != prepared.wire_digest:
        # Never train anew for this round: its statement is signed, and might have been sent.
        agent.state.finish_update(prepared.round_id, "refused", f"the kept update is lost or damaged: {path}")
        return False
    key = agent.key
    envelope = statements.Envelope(prepared.statement, key.public.key_id, _signature(key, prepared))
    kind = envelope.fields()["kind"]
    headers = {"Content-Type": CONTENT_TYPES[kind], "Submission-Statement": envelope.compact()}
    try:
        answer = agent.coordinator.post_bytes("federation/round/submit-gradient", body, headers)
    except Refused as refusal:
        if agent.key is not key:  # rotated while this was on its way
            return submit(agent, prepared)
        if refusal.http_status in _NOT_NOW:
            raise
        agent.state.finish_update(prepared.round_id, "refused", refusal.detail)
        return False
    confirmed = answer.get("submission_digest", prepared.wire_digest)
    if answer.get("status") != "accepted" or confirmed != prepared.wire_digest:
        raise CheckFailed(f"the coordinator confirms {confirmed!r}", expected=f"accepted {prepared.wire_digest}")
    agent.state.finish_update(prepared.round_id, "accepted", str(answer.get("gradient_id", "")))
    return True


def _signature(key: PrivateKey, prepared: PreparedUpdate) -> bytes:
    """The kept signature; a new one by `key` if the key was rotated since."""
    try:
        dsse.verify(key.public, prepared.signature, dsse.SUBMISSION_TYPE, prepared.statement)
    except SignatureInvalid:
        return dsse.sign(key, dsse.SUBMISSION_TYPE, prepared.statement)
    return prepared.signature


def parent_of(agent: Agent, config: RoundConfig) -> dict[str, Int32]:
    """The model that the round starts from: the newest standing release on the chain, or the model's own beginning.

    Raises:
        CheckFailed: the round names another parent, or another optimiser state than its parent's block does.
    """
    expected_hash, version = expected_parent(agent, config.model_name)
    if (config.parent_hash, config.parent_version) != (expected_hash, version):
        raise CheckFailed(
            f"the round starts from version {config.parent_version} ({config.parent_hash})",
            expected=f"version {version} ({expected_hash}), the newest release on the verified chain",
        )
    _check_optimizer_state(agent, config)
    spec = registry.get(config.model_name)
    schema = spec.schema if spec else None
    if schema is not None and config.model_schema is not None and _schema(config) != schema:
        raise CheckFailed("the round's model has another schema", expected=f"that of {config.model_name}")
    if spec is not None and version == 0:
        return spec.initial()
    assert expected_hash is not None
    return fetch_model(agent, expected_hash, schema)


def _check_optimizer_state(agent: Agent, config: RoundConfig) -> None:
    """A server optimiser goes on with the state that its own method left at the parent, or else starts anew."""
    release = agent.state.newest_release(config.model_name)
    provenance = parse_header(release.header).provenance if release else None
    goes_on = provenance is not None and provenance.aggregation_method == config.aggregation_method
    expected = provenance.optimizer_state_hash if provenance and goes_on else None
    if config.optimizer_state_hash != expected:
        raise CheckFailed(
            f"the round's optimiser starts from the state {config.optimizer_state_hash}",
            expected=f"{expected}, as the newest release on the verified chain names it",
        )


def basis_of(agent: Agent, config: RoundConfig) -> Basis:
    """The models that the round builds on, as it names them; each has to be a release on the verified chain.

    Raises:
        CheckFailed: one is not.
    """
    for name, model_hash in config.local.basis.items():
        release = agent.state.release_of(model_hash)
        if release is None or release.model_name != name or release.withdrawn:
            raise CheckFailed(
                f"the round builds on the {name} {model_hash}, no release that stands", expected=f"a sealed {name}"
            )
    return fetch_basis(agent, config.local.basis)


def _local_config(agent: Agent, config: RoundConfig) -> LocalConfig:
    return LocalConfig(
        epochs=config.local.epochs,
        batch_size=config.local.batch_size,
        learning_rate=config.local.learning_rate,
        proximal_mu=config.local.proximal_mu,
        seed=seed_of(agent, config),
    )


def _validation(
    task: LocalTask,
    parent: dict[str, Int32],
    delta: dict[str, Int32],
    records: Records,
    basis: Basis,
) -> dict[str, float]:
    """What is reported of the locally trained model: its figures on the records that it was not trained on."""
    trained = {name: add_update(parent[name], delta[name]) for name in parent}
    try:
        figures = task.evaluate(trained, records.validation, basis=basis)
    except TooFewFlows:
        return {}
    return {name: figures[name] for name in REPORTED if name in figures}


def seed_of(agent: Agent, config: RoundConfig) -> int:
    """The same for this organisation and round whenever asked, another for every other one."""
    material = f"{agent.key.public.key_id}/{config.config_hash}".encode()
    return int.from_bytes(hashlib.sha256(material).digest()[:6], "big")


def _schema(config: RoundConfig) -> ModelSchema:
    assert config.model_schema is not None
    return ModelSchema.of(dict(config.model_schema))
