"""Recomputes released models from the submissions of their rounds: the ledger's recomputer.

Everything that decides is bound to the block: the configuration by its hash, the submissions by their Merkle root, the
parent by its model hash, the optimiser's state by its own. What the database says is only where to find them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from federation import selectors
from federation.models import ModelVersion, Submission, TrainingRound
from federation.round_config import RoundConfig
from federation.services import candidates
from federation.services.aggregation import inputs, release_files, work
from federation.services.aggregation.inputs import Inputs
from flxdr.core import canonical
from flxdr.core.errors import FlxdrError
from flxdr.platform.storage.blobs import blobs, held
from ledger.chain.block import Header, Provenance, submissions_root
from ledger.services.recomputation import Recomputation
from models_ml import codec

IN_THE_CLEAR = "plain"
"""The protection under which the coordinator holds the updates themselves."""


class _Differs(Exception):
    """What was found is not what the block says."""

    def __init__(self, field: str, expected: str | None, actual: str | None) -> None:
        super().__init__(field)
        self.field, self.expected, self.actual = field, str(expected), str(actual)


class _NotRecomputable(Exception):
    """Something that recomputing takes is not there."""


class ReleaseRecomputer:
    """Recomputes one release after the other, in ranges, and stores nothing."""

    def recompute(self, header: Header) -> Recomputation:
        assert header.provenance is not None
        assert header.model_hash is not None
        found = Recomputation(header.height, header.model_hash, "not_recomputable")
        try:
            with held():
                on_trust = _recompute(header.model_hash, header.provenance)
        except _Differs as error:
            return replace(found, verdict="differs", field=error.field, expected=error.expected, actual=error.actual)
        except _NotRecomputable as error:
            return replace(found, field=str(error))
        except FlxdrError as error:
            return replace(found, field=f"{error.code}: {error.detail}")
        except OSError as error:
            return replace(found, field=f"a file cannot be read: {error.strerror}")
        return replace(found, verdict="matches", on_trust=on_trust)


def _recompute(model_hash: str, provenance: Provenance) -> Sequence[str]:
    """Recompute a release; the organisations whose conversions were taken on trust."""
    if provenance.protection != IN_THE_CLEAR:
        raise _NotRecomputable(f"the updates of a {provenance.protection} round were never in the clear")
    training_round = TrainingRound.objects.filter(round_id=provenance.round_id).first()
    if training_round is None:
        raise _NotRecomputable(f"no round {provenance.round_id} is stored")
    stored = bytes(training_round.config)
    _same("config_hash", provenance.config_hash, canonical.digest(stored))
    config = RoundConfig.decode(stored)
    parent = _parent(config)
    inputs.verify(training_round, parent, lambda: None)
    material = inputs.assemble(training_round, parent)
    lost = set(provenance.training_orgs) - {each.organization.org_id for each in material.submissions}
    if lost:
        raise _NotRecomputable(f"the submission of {', '.join(sorted(lost))} is not stored")
    root = submissions_root(candidates.submission_entries(material.submissions))
    _same("submissions_root", provenance.submissions_root, root)
    recomputed_model, recomputed_state = _results(material)
    _same("model_hash", model_hash, recomputed_model)
    _same("optimizer_state_hash", provenance.optimizer_state_hash, recomputed_state)
    return _converted(material.submissions)


def _same(field: str, expected: str | None, actual: str | None) -> None:
    if expected != actual:
        raise _Differs(field, expected, actual)


def _parent(config: RoundConfig) -> ModelVersion:
    """The model that the round started from: by its hash, checked against its bytes."""
    parent = selectors.version_of(config.model_name, config.parent_version)
    if parent is None:
        raise _NotRecomputable(f"version {config.parent_version} of {config.model_name} is not stored")
    if config.parent_hash is not None and _model_hash(parent) != config.parent_hash:
        raise _NotRecomputable(f"what is stored as model {config.parent_hash} is another one")
    return parent


def _model_hash(version: ModelVersion) -> str:
    hasher = codec.model_hasher()
    with blobs().verify(version.blob_digest).open("rb") as file:
        while data := file.read(2**20):
            hasher.update(data)
    return hasher.hexdigest()


def _results(material: Inputs) -> tuple[str, str | None]:
    """The model's hash and the state file's, from the updates."""

    def nothing() -> None: ...

    products = work.measured(material, slice(0, material.cohort.size), nothing)
    plan = material.strategy.plan(material.cohort, products)
    spans = work.ranges(material.cohort.count, material.cohort.size)
    parts = [work.combined(material, plan, span, nothing) for span in spans]
    model = release_files.ModelStream(material, parts, nothing)
    for _ in model:
        pass
    state = release_files.state_stream(material, parts, nothing)
    if state is None:
        return model.hasher.hexdigest(), None
    state_hasher = hashlib.sha256()
    for data in state:
        state_hasher.update(data)
    return model.hasher.hexdigest(), state_hasher.hexdigest()


def _converted(submissions: Sequence[Submission]) -> tuple[str, ...]:
    """Organisations that sent another form than the one that is aggregated: lists of numbers, whole models."""
    return tuple(
        submission.organization.org_id
        for submission in submissions
        if submission.update_digest != submission.wire_digest
    )
