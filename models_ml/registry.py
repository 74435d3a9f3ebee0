"""The models that a federation can train by name, each with its schema and its exact starting point."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType

import numpy as np

from models_ml import codec
from models_ml.codec import Int32, ModelSchema
from models_ml.families import FAMILIES
from models_ml.features import FEATURES
from models_ml.fixed_point import SCALE
from models_ml.response import policy
from models_ml.tgnn import network

EDGE_CLASSIFIER = "edge-classifier"
EDGE_NORMALISER = "edge-normaliser"
TGNN = "tgnn"
RL_POLICY = "rl-policy"
HIDDEN = (64, 32)


@dataclass(frozen=True)
class ModelSpec:
    """A model by name.

    `initial()` gives the tensors before any round, in fixed point: the same integers on every machine, since they come
    from a SHA-256 stream and integer arithmetic alone. `builds_on` names the models whose newest releases training and
    prediction use where there are any; without those that it `requires` there is nothing to train.
    """

    name: str
    schema: ModelSchema
    initial: Callable[[], dict[str, Int32]]
    description: str
    builds_on: tuple[str, ...] = ()
    requires: frozenset[str] = frozenset()


def get(name: str) -> ModelSpec | None:
    """The model of that name, or None (the default model `global` takes its schema from its first submission)."""
    return MODELS.get(name)


def _classifier_schema() -> ModelSchema:
    first, second = HIDDEN
    return ModelSchema.of(
        {
            "hidden1.weight": (len(FEATURES), first),
            "hidden1.bias": (first,),
            "hidden2.weight": (first, second),
            "hidden2.bias": (second,),
            "output.weight": (second, len(FAMILIES)),
            "output.bias": (len(FAMILIES),),
        }
    )


def _he_uniform(name: str, schema: ModelSchema) -> dict[str, Int32]:
    """Weights uniform in +-sqrt(6 / fan_in) (He et al. 2015), biases zero."""
    tensors: dict[str, Int32] = {}
    for tensor in schema.tensors:
        if len(tensor.shape) == 1:
            tensors[tensor.name] = np.zeros(tensor.shape, dtype=np.int32)
        else:
            limit = math.isqrt(6 * SCALE * SCALE // tensor.shape[0])
            tensors[tensor.name] = _uniform(f"{name}/{tensor.name}", tensor.size, limit).reshape(tensor.shape)
    return tensors


def _uniform(label: str, count: int, limit: int) -> Int32:
    """`count` integers in [-limit, limit] from the stream SHA-256(label | block number)."""
    blocks = (hashlib.sha256(f"{label}/{block}".encode()).digest() for block in range(-(-count // 8)))
    words = np.frombuffer(b"".join(blocks), dtype="<u4")[:count].astype(np.uint64)
    scaled = (words * np.uint64(2 * limit + 1)) >> np.uint64(32)
    return (scaled.astype(np.int64) - limit).astype(np.int32)


def _initial_normaliser() -> dict[str, Int32]:
    """Mean 0 and second moment 1: features pass unchanged."""
    width = len(FEATURES)
    return {"mean": np.zeros(width, dtype=np.int32), "second_moment": np.full(width, SCALE, dtype=np.int32)}


def _initial_policy() -> dict[str, Int32]:
    """A drawn trunk under heads of zeros: whatever it sees, an untrained policy advises to keep watching."""
    drawn = _he_uniform(RL_POLICY, _POLICY_SCHEMA)
    return {name: np.zeros_like(array) if name in policy.HEADS else array for name, array in drawn.items()}


_CLASSIFIER_SCHEMA = _classifier_schema()
_TGNN_SCHEMA = ModelSchema.of(network.SHAPES)
_POLICY_SCHEMA = ModelSchema.of(policy.SHAPES)
MODELS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        EDGE_CLASSIFIER: ModelSpec(
            name=EDGE_CLASSIFIER,
            schema=_CLASSIFIER_SCHEMA,
            initial=partial(_he_uniform, EDGE_CLASSIFIER, _CLASSIFIER_SCHEMA),
            description="families of traffic from single flows: a 64-32 perceptron over normalised flow features",
            builds_on=(EDGE_NORMALISER,),
        ),
        EDGE_NORMALISER: ModelSpec(
            name=EDGE_NORMALISER,
            schema=ModelSchema.of({"mean": (len(FEATURES),), "second_moment": (len(FEATURES),)}),
            initial=_initial_normaliser,
            description="first and second moments of the flow features over the whole federation",
        ),
        TGNN: ModelSpec(
            name=TGNN,
            schema=_TGNN_SCHEMA,
            initial=partial(_he_uniform, TGNN, _TGNN_SCHEMA),
            description="families of traffic from flows and what their hosts did before: a temporal graph network",
            builds_on=(EDGE_NORMALISER,),
        ),
        RL_POLICY: ModelSpec(
            name=RL_POLICY,
            schema=_POLICY_SCHEMA,
            initial=_initial_policy,
            description="responses to incidents, recommended and never executed: a policy on the network's embeddings",
            builds_on=(EDGE_NORMALISER, TGNN),
            requires=frozenset({TGNN}),
        ),
    }
)


@cache
def initial_hash(model_name: str) -> str | None:
    """The hash of a model's starting point; None for a model without one."""
    spec = get(model_name)
    return None if spec is None else codec.model_hash(codec.encode(spec.initial()))
