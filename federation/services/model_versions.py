"""Where a model's versions begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from django.conf import settings

from federation import selectors
from federation.errors import ModelMissing
from federation.models import ModelVersion
from federation.round_config import RoundConfig
from flxdr.core.clock import Clock
from flxdr.platform.storage.blobs import blobs
from models_ml import codec, registry
from models_ml.codec import Int32, ModelSchema, Tensors


def require_known(model_name: str) -> None:
    """Refuse a name that neither the registry nor the coordinator's default model carries.

    Raises:
        ModelMissing: naming those that exist.
    """
    known = sorted({*registry.MODELS, settings.FLXDR.default_model})
    if model_name not in known:
        raise ModelMissing(f"no model {model_name!r}", expected=" | ".join(known))


@dataclass(frozen=True)
class Origin:
    """What a round starts from, whether it is stored yet or not.

    Attributes:
        model_hash, schema: None for a model whose schema the first accepted submission will fix.
        row: None before the model's first round.
    """

    version: int
    model_hash: str | None
    schema: ModelSchema | None
    row: ModelVersion | None


def origin_of(model_name: str) -> Origin:
    """What the next round of a model starts from; nothing is stored."""
    parent = selectors.parent_version(model_name)
    if parent is not None:
        return Origin(parent.version, parent.model_hash, ModelSchema.from_json(parent.schema), parent)
    spec = registry.get(model_name)
    if spec is None:
        return Origin(0, None, None, None)
    return Origin(0, registry.initial_hash(model_name), codec.schema_of(spec.initial()), None)


def ensure_parent(*, model_name: str, clock: Clock) -> ModelVersion | None:
    """The version that the next round starts from.

    That is the newest release, else the initial model of the registry (stored now if it is not yet). None for a model
    whose schema the first accepted submission will fix.
    """
    parent = selectors.parent_version(model_name)
    spec = registry.get(model_name)
    if parent is None and spec is not None:
        return store_initial(model_name=model_name, tensors=spec.initial(), clock=clock)
    return parent


def parent_of(config: RoundConfig) -> ModelVersion | None:
    """The stored model that a round's updates are relative to; None until the first one fixes the schema."""
    parent = selectors.version_of(config.model_name, config.parent_version)
    if config.parent_hash is not None and (parent is None or parent.model_hash != config.parent_hash):
        raise RuntimeError(f"the parent of {config.round_id} is no version of {config.model_name}")
    return parent


def store_initial(*, model_name: str, tensors: Tensors, clock: Clock) -> ModelVersion:
    """Store version 0 of a model, once."""
    data = codec.encode(tensors)
    version, _ = ModelVersion.objects.get_or_create(
        model_name=model_name,
        version=0,
        status=ModelVersion.Status.INITIAL,
        defaults={
            "model_hash": codec.model_hash(data),
            "blob_digest": blobs().put(data),
            "schema": codec.schema_of(tensors).as_json(),
            "created_at": clock.now(),
        },
    )
    return version


def zeros(schema: ModelSchema) -> dict[str, Int32]:
    """A model of that schema whose values are all zero."""
    return {tensor.name: np.zeros(tensor.shape, dtype=np.int32) for tensor in schema.tensors}


def load(version: ModelVersion) -> dict[str, Int32]:
    """The tensors of a stored version."""
    return codec.decode(blobs().get(version.blob_digest))
