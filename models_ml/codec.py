"""Canonical model files and the model hash.

A model file is safetensors holding int32 tensors and nothing else: no metadata, names in byte order, no gaps. Every
set of tensors has exactly one file, and `decode` refuses every other spelling, so a hash of the file is a hash of the
model. Updates travel in the same form.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from models_ml.errors import NotCanonicalModel, SchemaMismatch

SCHEMA_VERSION = 1
MAX_HEADER_BYTES = 1 << 20
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 2**31 - 1
_DOMAIN = b"flxdr.model\x00"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")

Int32 = npt.NDArray[np.int32]
Tensors = Mapping[str, Int32]


@dataclass(frozen=True, order=True)
class TensorSpec:
    """Name and shape of one tensor.

    Raises:
        SchemaMismatch: a name outside `[A-Za-z0-9][A-Za-z0-9_.-]*` (128 characters at most), or a dimension below 1.
    """

    name: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise SchemaMismatch(
                f"{self.name!r} is no tensor name",
                expected="1 to 128 letters, digits, '_', '.' or '-', the first a letter or digit",
            )
        if len(self.shape) > MAX_DIMENSIONS or any(dimension < 1 for dimension in self.shape):
            raise SchemaMismatch(
                f"tensor {self.name} has shape {list(self.shape)}",
                expected=f"at most {MAX_DIMENSIONS} dimensions, each at least 1",
            )
        if self.size > MAX_ELEMENTS:
            raise SchemaMismatch(f"tensor {self.name} has {self.size} values", expected=f"at most {MAX_ELEMENTS}")

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class ModelSchema:
    """The tensors of a model, in the order of their names.

    Raises:
        SchemaMismatch: no tensor at all, names twice, or names out of order.
    """

    tensors: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        names = [tensor.name for tensor in self.tensors]
        if not names or names != sorted(set(names)):
            raise SchemaMismatch("the tensors are none, repeated or unordered", expected="distinct names in byte order")

    @property
    def size(self) -> int:
        """Number of values in all tensors."""
        return sum(tensor.size for tensor in self.tensors)

    @classmethod
    def of(cls, shapes: Mapping[str, Sequence[int]]) -> ModelSchema:
        """The schema of tensors given as name -> shape, in any order."""
        return cls(tuple(TensorSpec(name, tuple(shapes[name])) for name in sorted(shapes)))

    def as_json(self) -> list[dict[str, Any]]:
        """A list of `{name, shape}`, ready for canonical JSON."""
        return [{"name": tensor.name, "shape": list(tensor.shape)} for tensor in self.tensors]

    @classmethod
    def from_json(cls, value: Any) -> ModelSchema:
        """Read what `as_json` wrote.

        Raises:
            SchemaMismatch: anything else.
        """
        return cls(tuple(_specs_from_json(value)))


def _specs_from_json(value: Any) -> Iterator[TensorSpec]:
    if not isinstance(value, list):
        raise SchemaMismatch("the schema is no list", expected="a list of {name, shape}")
    for item in value:
        if not isinstance(item, dict) or item.keys() != {"name", "shape"}:
            raise SchemaMismatch("an entry of the schema is unreadable", expected="objects of exactly name and shape")
        name, shape = item["name"], item["shape"]
        if not isinstance(name, str) or not isinstance(shape, list) or any(type(size) is not int for size in shape):
            raise SchemaMismatch(
                "an entry of the schema is unreadable", expected="name: string, shape: list of integers"
            )
        yield TensorSpec(name, tuple(shape))


def schema_of(tensors: Mapping[str, npt.NDArray[Any]]) -> ModelSchema:
    """The schema that `tensors` have."""
    return ModelSchema.of({name: array.shape for name, array in tensors.items()})


def check_schema(tensors: Mapping[str, npt.NDArray[Any]], schema: ModelSchema) -> None:
    """Refuse tensors that are not exactly those of `schema`, all int32.

    Raises:
        SchemaMismatch: a missing, additional, wrongly shaped or wrongly typed tensor.
    """
    expected = {tensor.name: tensor.shape for tensor in schema.tensors}
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise SchemaMismatch(f"tensor {name} is missing", expected=f"shape {list(expected[name])}")
        if name not in expected:
            raise SchemaMismatch(f"tensor {name} is not part of the model", expected=", ".join(sorted(expected)))
        if tensors[name].shape != expected[name]:
            raise SchemaMismatch(
                f"tensor {name} has shape {list(tensors[name].shape)}", expected=f"shape {list(expected[name])}"
            )
        _require_int32(name, tensors[name])


def encode(tensors: Tensors) -> bytes:
    """The canonical file of int32 tensors.

    Arrays in any memory layout and byte order give the same bytes, and those are what safetensors writes. They are put
    together here, so that the values are copied once.

    Raises:
        SchemaMismatch: no tensors, a name or shape outside the profile, or another type than int32.
    """
    schema = schema_of(tensors)
    parts: list[Any] = [header(schema)]
    for tensor in schema.tensors:
        array = tensors[tensor.name]
        _require_int32(tensor.name, array)
        parts.append(np.ascontiguousarray(array, dtype="<i4"))
    return b"".join(parts)


def header(schema: ModelSchema) -> bytes:
    """What a canonical file of that schema begins with; the tensors' values follow, in name order and without gaps.

    So a file can be written and checked piece by piece: its bytes are this header and 4 bytes a value (`<i4`).
    """
    entries = {}
    start = 0
    for tensor in schema.tensors:
        stop = start + 4 * tensor.size
        entries[tensor.name] = {"dtype": "I32", "shape": list(tensor.shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def decode(data: bytes) -> dict[str, Int32]:
    """Read a canonical model file; tensors come back in name order.

    Raises:
        NotCanonicalModel: not safetensors, another type than int32, metadata, duplicate keys, another spelling of the
            header, or bytes after the last tensor.
    """
    _check_header_length(data)
    try:
        entries: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise NotCanonicalModel(f"the bytes are no safetensors file: {error}") from error
    tensors: dict[str, Int32] = {}
    for name, entry in entries:
        if entry["dtype"] != "I32":
            raise NotCanonicalModel(f"tensor {name} has type {entry['dtype']}", expected="I32")
        if len(entry["shape"]) > MAX_DIMENSIONS:  # numpy raises from 65 on
            raise NotCanonicalModel(
                f"tensor {name} has {len(entry['shape'])} dimensions", expected=f"at most {MAX_DIMENSIONS}"
            )
        array = np.frombuffer(entry["data"], dtype="<i4").reshape(entry["shape"])
        tensors[name] = array.astype(np.int32, copy=False)
    try:
        schema = schema_of(tensors)
    except SchemaMismatch as error:
        raise NotCanonicalModel(error.detail, expected=error.expected) from error
    if not data.startswith(header(schema)):  # which says where the values of every tensor are, up to the last byte
        raise NotCanonicalModel(
            "the file is safetensors in another than the canonical spelling",
            expected="no metadata, no duplicate keys, names in byte order, header as safetensors 0.8 writes it",
            action="Write the file with models_ml.codec.encode.",
        )
    return dict(sorted(tensors.items()))


def _check_header_length(data: bytes) -> None:
    if len(data) < 8:
        raise NotCanonicalModel(f"{len(data)} bytes are too few", expected="8 bytes of header length, then the header")
    (length,) = struct.unpack_from("<Q", data)
    if length > MAX_HEADER_BYTES or length > len(data) - 8:
        raise NotCanonicalModel(
            f"the header claims {length} bytes", expected=f"at most {min(MAX_HEADER_BYTES, len(data) - 8)} here"
        )


def _require_int32(name: str, array: npt.NDArray[Any]) -> None:
    if array.dtype.kind != "i" or array.dtype.itemsize != 4:
        raise SchemaMismatch(f"tensor {name} has type {array.dtype}", expected="int32 in units of 2^-24")


def model_hash(data: bytes) -> str:
    """SHA-256 over domain tag, schema version (uint32, little endian) and a canonical model file, in lower-case hex."""
    hasher = model_hasher()
    hasher.update(data)
    return hasher.hexdigest()


def model_hasher() -> hashlib._Hash:
    """A SHA-256 that becomes the `model_hash` of the canonical file that is fed to it piece by piece."""
    return hashlib.sha256(_DOMAIN + struct.pack("<I", SCHEMA_VERSION))


def flatten(tensors: Tensors) -> Int32:
    """All values as one int32 vector, tensors in name order, each in C order."""
    return np.concatenate([np.asarray(tensors[name], dtype=np.int32).ravel() for name in sorted(tensors)])


def unflatten(vector: Int32, schema: ModelSchema) -> dict[str, Int32]:
    """The inverse of `flatten` (views into `vector`).

    Raises:
        SchemaMismatch: the vector is not one-dimensional int32 of the schema's size.
    """
    if vector.shape != (schema.size,):
        raise SchemaMismatch(f"the vector has shape {list(vector.shape)}", expected=f"{schema.size} values")
    _require_int32("vector", vector)
    tensors: dict[str, Int32] = {}
    start = 0
    for tensor in schema.tensors:
        tensors[tensor.name] = vector[start : start + tensor.size].reshape(tensor.shape)
        start += tensor.size
    return tensors
