"""The checks of a proposed release that concern its model and this organisation's part in it."""

from __future__ import annotations

import math

from federation.agent import own_heads
from federation.agent.errors import CheckFailed, Refused
from federation.agent.masking.verification import verify_sums
from federation.agent.model_store import expected_parent, fetch_model, newest_basis
from federation.agent.records import RecordSource
from federation.agent.session import Agent
from federation.agent.state_rows import PreparedUpdate
from federation.agent.training import basis_of, parent_of
from federation.masking.steps import Step
from federation.round_config import RoundConfig
from ledger.chain import merkle
from ledger.chain.block import Header, Provenance, submission_leaf
from models_ml import registry
from models_ml.codec import Int32, ModelSchema, schema_of
from models_ml.edge_stream import EdgeStream
from models_ml.errors import TooFewFlows
from models_ml.tasks import TASKS, Basis, LocalTask
from models_ml.validation import compare


def check_release(agent: Agent, header: Header, records: RecordSource, steps: list[str]) -> bool:
    """Check a release whose header already extends the verified chain.

    4. Its parent is the newest standing release on the verified chain, or the model's own beginning.
    5. It is the round that this organisation trained for, as it was configured.
    6. This organisation's own update is included, bytes and sample count.
    7. The model's bytes have the hash that the header names, and the model's schema; in a Paillier round it is what the
       verified openings of the sums give.
    8. On this organisation's validation records it is not worse than its parent by more than the tolerance.

    Returns:
        Whether every step could be made; the last entry of `steps` says which one could not.

    Raises:
        CheckFailed: a check does not hold.
        Unreachable, Refused: something cannot be fetched now.
    """
    provenance = header.provenance
    assert provenance is not None
    assert header.model_hash is not None
    parent_version = _check_parent(agent, provenance)
    steps.append(f"4. Parent is version {parent_version} of the verified chain.")
    own = agent.state.update_for(provenance.round_id)
    config = None
    if own is not None:
        config = RoundConfig.decode(own.config)
        _check_round(agent, provenance, config, own)
        steps.append(f"5. Round {provenance.round_id} is as it was configured.")
    if own is not None and own.outcome == "accepted" and agent.org_id in provenance.training_orgs:
        prove_inclusion(agent, provenance, own)
        steps.append(f"6. Own update {own.wire_digest[:16]} with {own.samples} samples is included.")
    elif agent.org_id in provenance.training_orgs:
        steps.append("6. The release names this organisation, and this home holds no accepted update for its round.")
        return False
    elif own is not None and own.outcome == "accepted":
        steps.append("6. Own update is left out with its bucket, too few of which unmasked their sum.")
    candidate = fetch_model(agent, header.model_hash, _schema(provenance, config))
    steps.append(f"7. Model bytes have the hash {header.model_hash[:16]}.")
    if config is not None and config.modulus_bits and agent.state.masking.told(config.round_id, Step.MASKED_INPUT):
        computed = verify_sums(agent, config, provenance, parent_of(agent, config), candidate)
        steps.append(
            "7. The openings of the encrypted sums are right" + (", and give this model." if computed else ".")
        )
    basis = basis_of(agent, config) if config else newest_basis(agent, provenance.model_name)
    return _validate(agent, header, (candidate, basis), records, steps)


def _check_parent(agent: Agent, provenance: Provenance) -> int:
    parent_hash, version = expected_parent(agent, provenance.model_name)
    following = agent.state.newest_version(provenance.model_name) + 1
    if (provenance.parent_model_hash, provenance.model_version) != (parent_hash, following):
        raise CheckFailed(
            f"the release is version {provenance.model_version} of parent {provenance.parent_model_hash}",
            expected=f"version {following} of parent {parent_hash}",
        )
    return version


def _check_round(agent: Agent, provenance: Provenance, config: RoundConfig, own: PreparedUpdate) -> None:
    for name, found, expected in (
        ("round number", provenance.round_number, config.round_number),
        ("model", provenance.model_name, config.model_name),
        ("parent", provenance.parent_model_hash, config.parent_hash),
        ("aggregation", provenance.aggregation_method, config.aggregation_method),
        ("aggregation parameters", provenance.aggregation_params, dict(config.aggregation_params)),
        ("weighting", provenance.weighting, config.weighting),
        ("protection", provenance.protection, config.protection),
        ("privacy mechanism", provenance.privacy.get("mechanism"), config.privacy.get("mechanism")),
        ("configuration", provenance.config_hash, config.config_hash),
    ):
        if found != expected:
            raise CheckFailed(f"the release's {name} is {found}", expected=f"{expected}, as the round was configured")
    if config.optimizer_state_hash is not None and provenance.optimizer_state_hash is None:
        raise CheckFailed("the release names no optimiser state", expected="a state, as the round started from one")
    strangers = sorted(set(provenance.training_orgs) - set(config.participants))
    if strangers:
        raise CheckFailed(f"the release names {', '.join(strangers)}", expected="participants of the round only")
    if len(provenance.training_orgs) < config.min_orgs:
        raise CheckFailed(
            f"{len(provenance.training_orgs)} organisations trained", expected=f"at least {config.min_orgs}"
        )
    if own.outcome == "accepted" and not config.masking_buckets and agent.org_id not in provenance.training_orgs:
        raise CheckFailed("the release leaves out this organisation, whose update the round accepted")
    if agent.org_id in provenance.training_orgs and provenance.samples_total < own.samples:
        raise CheckFailed(f"the release counts {provenance.samples_total} samples", expected=f"at least {own.samples}")


def prove_inclusion(agent: Agent, provenance: Provenance, own: PreparedUpdate) -> tuple[int, list[bytes]]:
    """That this organisation's own update is in a release: its leaf's index, and the proof to `submissions_root`.

    Raises:
        CheckFailed: the coordinator does not prove it.
    """
    try:
        answer = agent.coordinator.get(f"federation/round/{provenance.round_id}/submission")
    except Refused as refusal:
        if refusal.http_status != 404:
            raise
        raise CheckFailed("the coordinator has no submission of this organisation for the round") from refusal
    try:
        proof = [bytes.fromhex(node) for node in answer["proof"]]
        index, size = int(answer["leaf_index"]), int(answer["tree_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckFailed("the coordinator proves no inclusion of this organisation's update") from error
    if size != len(provenance.training_orgs):
        raise CheckFailed(f"the proof is for {size} submissions", expected=f"{len(provenance.training_orgs)}")
    # The leaf is built from what this home remembers, never from what the coordinator says about it.
    leaf = submission_leaf(agent.org_id, own.wire_digest, own.samples)
    if not merkle.verify_inclusion(leaf, index, size, proof, bytes.fromhex(provenance.submissions_root)):
        raise CheckFailed(
            "this organisation's own update is not included in the release",
            expected=f"update {own.wire_digest} with {own.samples} samples under the release's submissions_root",
        )
    return index, proof


def _schema(provenance: Provenance, config: RoundConfig | None) -> ModelSchema | None:
    spec = registry.get(provenance.model_name)
    if spec is not None:
        return spec.schema
    if config is None or config.model_schema is None:
        return None
    return ModelSchema.of(dict(config.model_schema))


def _validate(
    agent: Agent,
    header: Header,
    models: tuple[dict[str, Int32], Basis],
    records: RecordSource,
    steps: list[str],
) -> bool:
    candidate, basis = models
    provenance = header.provenance
    assert provenance is not None
    task = TASKS.get(provenance.model_name)
    if task is None or not records.is_configured:
        steps.append(f"8. Not validated: no {'task for this model' if task is None else 'flow records'} here.")
        return False
    task = own_heads.task_with(agent, task, header)
    validation = records.load().validation
    parent_hash = provenance.parent_model_hash
    try:
        if parent_hash is None or agent.state.release_of(parent_hash) is None:
            steps.append(_first_score(task, candidate, validation, basis))
            return True
        parent = fetch_model(agent, parent_hash, schema_of(candidate))
        tolerance = agent.config.policy.tolerance
        found = compare(task, release=candidate, parent=parent, held=validation, basis=basis, tolerance=tolerance)
    except TooFewFlows as error:
        steps.append(f"8. Not validated: {error.detail}")
        return False
    scores = f"{found.score_name} {found.parent_score:.4f} -> {found.release_score:.4f}"
    if not found.acceptable:
        raise CheckFailed(
            f"on local validation the model is worse than its parent: {scores}",
            expected=f"at most {tolerance:g} below the parent",
        )
    steps.append(f"8. Local validation: {scores} (tolerance {tolerance:g}).")
    return True


def _first_score(task: LocalTask, candidate: dict[str, Int32], validation: EdgeStream, basis: Basis) -> str:
    """An untrained parent is no yardstick: a first release only has to give a finite score."""
    score = task.evaluate(candidate, validation, basis=basis).get(task.score_name, math.nan)
    if not math.isfinite(score):
        raise CheckFailed(f"{task.score_name} of the candidate is {score}", expected="a finite score")
    return f"8. First release: {task.score_name} {score:.4f} on local validation; an untrained parent is no yardstick."
