"""Finding a model to evaluate: a file, a hash, or the newest release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from federation.agent import chain
from federation.agent.errors import CheckFailed, DataInvalid, UsageInvalid
from federation.agent.model_store import built_on, fetch_basis, fetch_model
from federation.agent.session import Agent
from federation.agent.state_rows import StoredBlock
from flxdr.core.errors import FlxdrError
from models_ml import codec
from models_ml.bound_model import BoundModel
from models_ml.codec import Int32
from models_ml.registry import EDGE_CLASSIFIER, MODELS
from models_ml.tasks import Basis

_HASH = re.compile(r"[0-9a-f]{64}\Z")
LATEST = "latest"


@dataclass(frozen=True)
class FoundModel:
    """A model and what it builds on. `height` is the block that released it and `version` its number, where one did.

    `withdrawn`: a later block withdrew it; it is to be looked at, never to be used.
    """

    name: str
    model_hash: str
    tensors: dict[str, Int32]
    basis: Basis
    height: int | None
    withdrawn: bool = False
    version: int | None = None

    @property
    def basis_hashes(self) -> dict[str, str]:
        """Hashes by name of what it builds on."""
        return {name: codec.model_hash(codec.encode(tensors)) for name, tensors in self.basis.items()}

    @property
    def bound(self) -> BoundModel:
        return BoundModel(self.name, self.tensors, self.basis)


def find_model(agent: Agent, target: str, *, basis: Sequence[str] = (), model: str = EDGE_CLASSIFIER) -> FoundModel:
    """The model that `target` names.

    Args:
        target: `latest` (the newest standing release of `model`), a model hash, or a file.
        basis: hashes or files of models that it builds on; by default the files beside a model file, or those that a
            release was built on.

    Raises:
        UsageInvalid: neither of them.
        CheckFailed, Refused, Unreachable: it cannot be had, or is not what it should be.
    """
    release = None
    if target == LATEST or _HASH.match(target):
        chain.follow(agent)
        release = agent.state.newest_release(model) if target == LATEST else agent.state.release_of(target)
        if release is None and target == LATEST:
            raise CheckFailed(f"no release of {model} stands on the chain", expected="a sealed release")
        tensors = fetch_model(agent, release.model_hash if release is not None and release.model_hash else target)
    else:
        tensors = _read_file(Path(target))
    name = _name_of(tensors)
    digest, found = codec.model_hash(codec.encode(tensors)), _basis(agent, name, target, basis, release)
    if release is None:
        return FoundModel(name, digest, tensors, found, None)
    return FoundModel(name, digest, tensors, found, release.height, release.withdrawn, release.model_version)


def beside(path: Path, model_name: str) -> Path:
    """Where a model that the one in `path` builds on is kept: MODEL.BASIS.safetensors."""
    return path.with_suffix(f".{model_name}.safetensors")


def _basis(agent: Agent, name: str, target: str, chosen: Sequence[str], release: StoredBlock | None) -> Basis:
    if release is not None:
        found = dict(fetch_basis(agent, built_on(agent, release)))
    else:
        kept = {wanted: beside(Path(target), wanted) for wanted in MODELS[name].builds_on}
        found = {wanted: _read_file(path) for wanted, path in kept.items() if path.is_file()}
    for given in chosen:
        tensors = fetch_model(agent, given) if _HASH.match(given) else _read_file(Path(given))
        kind = _name_of(tensors)
        if kind not in MODELS[name].builds_on:
            raise UsageInvalid(
                f"{given} is of {kind}, on which {name} does not build",
                expected=" | ".join(MODELS[name].builds_on) or "no model",
            )
        found[kind] = tensors
    return found


def _read_file(path: Path) -> dict[str, Int32]:
    try:
        return codec.decode(path.read_bytes())
    except OSError as error:
        raise UsageInvalid(
            f"{path} cannot be read: {error.strerror}", expected=f"a model file, a model hash, or `{LATEST}`"
        ) from error
    except FlxdrError as error:
        raise DataInvalid(f"{path}: {error.detail}", expected=error.expected) from error


def _name_of(tensors: dict[str, Int32]) -> str:
    schema = codec.schema_of(tensors)
    for name, spec in MODELS.items():
        if spec.schema == schema:
            return name
    raise CheckFailed("the model has the schema of none that the agent can evaluate", expected=" | ".join(MODELS))
