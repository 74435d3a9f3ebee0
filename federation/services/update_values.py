"""From what arrived to the exact update: fixed-point deltas in the model's schema, within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.errors import ProtectionMismatch
from federation.round_config import PPM, RoundConfig
from federation.services.received import FlatValues, MaskedValues, NamedTensors, ReceivedUpdate
from models_ml import codec
from models_ml.codec import Int32, ModelSchema
from models_ml.errors import SchemaMismatch
from models_ml.fixed_point import MAX_MODEL_INT, MAX_UPDATE, MAX_UPDATE_INT, SCALE
from privacy.errors import UpdateInvalid
from privacy.updates import check_update, require_normal

FREE_TENSOR = "weights"
"""Name of the only tensor of a model whose schema an unnamed array fixes."""
KINDS = ("weights", "delta")
# P(|noise| > sigma (sqrt(D) + sqrt(2 ln(1/beta)))) <= beta for Gaussian noise in D dimensions; here beta = 1e-9
_NOISE_TAIL = math.sqrt(2 * math.log(1e9))


def delta_of(
    received: ReceivedUpdate, schema: ModelSchema | None, parent: Mapping[str, Int32] | None
) -> dict[str, Int32]:
    """The update in units of 2^-24 relative to the parent (zero where there is none).

    Args:
        schema: of the model; None lets the update fix it, as long as it is one tensor.
        parent: the round's parent model, which whole weights are told from; a delta does not need it.

    Raises:
        ProtectionMismatch: it is masked.
        SchemaMismatch: other tensors or shapes than the model's.
        UpdateInvalid: another kind, a dtype that is neither float nor int32, a value that is not finite or out of
            range.
    """
    if isinstance(received.payload, MaskedValues):
        raise ProtectionMismatch("a masked update in a round without masks", expected="a delta in the clear")
    if received.kind not in KINDS:
        raise UpdateInvalid(f"kind {received.kind!r}", expected=" | ".join(KINDS), field="kind")
    arrays = _named(received.payload, schema)
    return {
        name: _delta(name, array, received.kind, parent[name] if parent else None) for name, array in arrays.items()
    }


def checked_norm(delta: Mapping[str, Int32], declared: Mapping[str, Any], config: RoundConfig) -> float:
    """The update's L2 norm in model units, within what the round allows.

    Args:
        declared: the privacy mechanism that the submission declares. An update to which the round's noise was added
            may exceed the clipping norm by what that noise exceeds with a probability of at most 1e-9.

    Raises:
        UpdateInvalid: it was not clipped as the round asks.
    """
    vector = codec.flatten(delta)
    limit = None
    if config.clip_norm_ppm:
        limit = config.clip_norm_ppm / PPM
        if declared == config.privacy:
            limit += config.privacy["sigma_ppm"] / PPM * (math.sqrt(vector.size) + _NOISE_TAIL)
    return check_update(vector, limit)


def _named(payload: FlatValues | NamedTensors, schema: ModelSchema | None) -> dict[str, NDArray[Any]]:
    if isinstance(payload, FlatValues):
        return _from_flat(payload.values, schema)
    arrays = dict(sorted(payload.tensors.items()))
    if schema is not None:
        _require_shapes(arrays, schema)
    elif len(arrays) != 1:
        raise SchemaMismatch(f"{len(arrays)} tensors", expected="one tensor: it fixes the schema of the model")
    codec.schema_of(arrays)
    return arrays


def _from_flat(values: NDArray[Any], schema: ModelSchema | None) -> dict[str, NDArray[Any]]:
    if schema is None:
        arrays = {FREE_TENSOR: values}
        codec.schema_of(arrays)
        return arrays
    if len(schema.tensors) == 1:
        arrays = {schema.tensors[0].name: values}
        _require_shapes(arrays, schema)
        return arrays
    if values.shape != (schema.size,):
        raise SchemaMismatch(
            f"an unnamed array of shape {list(values.shape)}",
            expected=f"{schema.size} values: all tensors flattened, in the order of their names",
        )
    arrays, start = {}, 0
    for tensor in schema.tensors:
        arrays[tensor.name] = values[start : start + tensor.size].reshape(tensor.shape)
        start += tensor.size
    return arrays


def _require_shapes(arrays: Mapping[str, NDArray[Any]], schema: ModelSchema) -> None:
    expected = {tensor.name: tensor.shape for tensor in schema.tensors}
    given = {name: array.shape for name, array in arrays.items()}
    if given != expected:
        differing = min(name for name in expected.keys() | given.keys() if given.get(name) != expected.get(name))
        has, wants = given.get(differing), expected.get(differing)
        raise SchemaMismatch(
            f"tensor {differing!r} is missing" if has is None else f"tensor {differing!r} has shape {list(has)}",
            expected="no such tensor" if wants is None else f"shape {list(wants)}",
            tensor=differing,
        )


def _delta(name: str, array: NDArray[Any], kind: str, parent: Int32 | None) -> Int32:
    values = _fixed_point(name, array)
    if kind == "weights":
        if _largest(values) > MAX_MODEL_INT:
            raise UpdateInvalid(f"a weight of {name} is out of range", expected="absolute values below 128")
        if parent is not None:
            values = values.astype(np.int64) - parent
    worst = _largest(values)
    if worst > MAX_UPDATE_INT:
        raise UpdateInvalid(
            f"tensor {name}: the largest change is {worst / SCALE:g}",
            expected=f"changes of at most {MAX_UPDATE} against the parent model",
            action="Clip the update, or lower the learning rate.",
            tensor=name,
        )
    return values.astype(np.int32, copy=False)


def _largest(values: NDArray[np.signedinteger[Any]]) -> int:
    """The largest absolute value; exact for the least integer as well."""
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))


def _fixed_point(name: str, array: NDArray[Any]) -> NDArray[np.signedinteger[Any]]:
    if array.dtype.kind == "i" and array.dtype.itemsize == 4:
        return array
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise UpdateInvalid(
            f"tensor {name} has type {array.dtype}",
            expected="float32, float64 (model units) or int32 (2^-24)",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # infinity and NaN are refused below
        scaled = np.rint(array.astype(np.float64) * SCALE)
    if not np.isfinite(scaled).all():
        raise UpdateInvalid(f"tensor {name} holds a value that is not a finite number", expected="finite numbers only")
    require_normal(array)
    if np.abs(scaled).max(initial=0.0) > MAX_MODEL_INT:
        raise UpdateInvalid(f"a value of {name} is out of range", expected="absolute values below 128", tensor=name)
    return scaled.astype(np.int64)
