"""Model files by hash: fetched once, checked against their hash, kept in the home."""

from __future__ import annotations

from collections.abc import Mapping

from federation.agent import files
from federation.agent.errors import CheckFailed
from federation.agent.session import Agent
from federation.agent.state_rows import StoredBlock
from federation.round_config import RoundConfig
from flxdr.core.errors import FlxdrError
from ledger.chain.block import parse_header
from models_ml import codec, registry
from models_ml.codec import Int32, ModelSchema
from models_ml.tasks import Basis

KEPT_MODELS = 64


def fetch_model(agent: Agent, model_hash: str, schema: ModelSchema | None = None) -> dict[str, Int32]:
    """The tensors of exactly that model.

    Raises:
        CheckFailed: the coordinator serves other bytes, or tensors of another schema.
        Refused: the coordinator does not serve it.
    """
    kept = agent.home.models / f"{model_hash}.safetensors"
    data = kept.read_bytes() if kept.exists() else b""
    if not data or codec.model_hash(data) != model_hash:
        data = agent.coordinator.get_bytes(f"federation/model/{model_hash}", limit=agent.config.limits.max_model_bytes)
        found = codec.model_hash(data)
        if found != model_hash:
            raise CheckFailed(f"the coordinator serves the bytes of model {found}", expected=f"model {model_hash}")
        files.write_durably(kept, data)
        files.keep_newest(agent.home.models, KEPT_MODELS)
    try:
        tensors = codec.decode(data)
        if schema is not None:
            codec.check_schema(tensors, schema)
    except FlxdrError as error:
        raise CheckFailed(f"model {model_hash}: {error.detail}", expected=error.expected) from error
    return tensors


def expected_parent(agent: Agent, model_name: str, *, below: int | None = None) -> tuple[str | None, int]:
    """(hash, version) of the model that the next round of `model_name` has to start from, by the verified chain."""
    release = agent.state.newest_release(model_name, below=below)
    if release is None:
        return registry.initial_hash(model_name), 0
    assert release.model_version is not None
    return release.model_hash, release.model_version


def newest_basis(agent: Agent, model_name: str, *, below: int | None = None) -> Basis:
    """The newest releases (those that stood before a height) of the models that a model builds on."""
    return fetch_basis(agent, _newest_hashes(agent, model_name, below))


def built_on(agent: Agent, release: StoredBlock) -> dict[str, str]:
    """Hashes by name of the models that a release was built on, whether they were withdrawn since or not.

    The round's configuration names them where this home took part in it; else they are those that stood just before.
    """
    provenance = parse_header(release.header).provenance
    if provenance is None:
        return {}
    own = agent.state.update_for(provenance.round_id)
    if own is not None and (config := RoundConfig.decode(own.config)).config_hash == provenance.config_hash:
        return dict(config.local.basis)
    return _newest_hashes(agent, provenance.model_name, release.height)


def withdrawn_among(agent: Agent, hashes: Mapping[str, str]) -> list[str]:
    """Names of those models of which no release stands any more; what was never released is not among them."""
    releases = {name: agent.state.release_of(digest) for name, digest in hashes.items()}
    return sorted(name for name, release in releases.items() if release is not None and release.withdrawn)


def _newest_hashes(agent: Agent, model_name: str, below: int | None) -> dict[str, str]:
    spec = registry.get(model_name)
    named: dict[str, str] = {}
    for name in spec.builds_on if spec else ():
        release = agent.state.newest_release(name, below=below)
        if release is not None and release.model_hash is not None:
            named[name] = release.model_hash
    return named


def fetch_basis(agent: Agent, hashes: Mapping[str, str]) -> Basis:
    """The models that another builds on, from their hashes by name.

    Raises:
        As `fetch_model`.
    """
    return {name: fetch_model(agent, digest, registry.MODELS[name].schema) for name, digest in hashes.items()}
