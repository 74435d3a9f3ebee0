"""Finding a model to evaluate: a file, a hash, or the newest release."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from federation.agent import chain
from federation.agent.errors import CheckFailed, DataInvalid, UsageInvalid
from federation.agent.model_store import fetch_model, newest_normaliser
from federation.agent.session import Agent
from flxdr.core.errors import FlxdrError
from models_ml import codec
from models_ml.codec import Int32
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS

_HASH = re.compile(r"[0-9a-f]{64}\Z")
LATEST = "latest"
NORMALISER_SUFFIX = ".normaliser.safetensors"


@dataclass(frozen=True)
class FoundModel:
    """A model and what normalises its features. `height` is the block that released it, where one did.

    `withdrawn`: a later block withdrew it; it is to be looked at, never to be used.
    """

    name: str
    model_hash: str
    tensors: dict[str, Int32]
    normaliser: dict[str, Int32] | None
    height: int | None
    withdrawn: bool = False


def find_model(agent: Agent, target: str, *, normaliser: str | None) -> FoundModel:
    """The model that `target` names.

    Args:
        target: `latest` (the newest standing release of the classifier), a model hash, or a file.
        normaliser: a hash or file; by default the file beside a model file, or the newest normaliser that was released
            before the model.

    Raises:
        UsageInvalid: neither of them.
        CheckFailed, Refused, Unreachable: it cannot be had, or is not what it should be.
    """
    height, withdrawn = None, False
    if target == LATEST or _HASH.match(target):
        chain.follow(agent)
        newest = agent.state.newest_release(EDGE_CLASSIFIER) if target == LATEST else agent.state.release_of(target)
        if newest is None and target == LATEST:
            raise CheckFailed(f"no release of {EDGE_CLASSIFIER} stands on the chain", expected="a sealed release")
        wanted = newest.model_hash if newest is not None and newest.model_hash is not None else target
        tensors, height = fetch_model(agent, wanted), newest.height if newest is not None else None
        withdrawn = newest is not None and newest.withdrawn
    else:
        tensors = _read_file(Path(target))
    name = _name_of(tensors)
    normalised_by = _normaliser(agent, name, target, normaliser, height)
    return FoundModel(name, codec.model_hash(codec.encode(tensors)), tensors, normalised_by, height, withdrawn)


def _normaliser(
    agent: Agent, name: str, target: str, chosen: str | None, height: int | None
) -> dict[str, Int32] | None:
    if name == EDGE_NORMALISER:
        return None
    beside = Path(target).with_suffix(NORMALISER_SUFFIX)
    if chosen is None and height is None and beside.is_file():
        chosen = str(beside)
    if chosen is None:
        return newest_normaliser(agent, name, below=height) if height is not None else None
    tensors = fetch_model(agent, chosen) if _HASH.match(chosen) else _read_file(Path(chosen))
    if _name_of(tensors) != EDGE_NORMALISER:
        raise UsageInvalid(f"{chosen} is no normaliser", expected=f"a model with the schema of {EDGE_NORMALISER}")
    return tensors


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
