from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_ml import codec
from models_ml.codec import ModelSchema, TensorSpec, decode, encode, flatten, model_hash, schema_of, unflatten
from models_ml.errors import NotCanonicalModel, SchemaMismatch

GOLDEN_TENSORS = {
    "head.weight": np.array([[1, -2, 3], [2**31 - 1, -(2**31), 0]], dtype=np.int32),
    "bias": np.array([16777216], dtype=np.int32),
}
GOLDEN_BYTES = (
    b"\x80\x00\x00\x00\x00\x00\x00\x00"
    b'{"bias":{"dtype":"I32","shape":[1],"data_offsets":[0,4]},'
    b'"head.weight":{"dtype":"I32","shape":[2,3],"data_offsets":[4,28]}}     '
    b"\x00\x00\x00\x01"
    b"\x01\x00\x00\x00\xfe\xff\xff\xff\x03\x00\x00\x00\xff\xff\xff\x7f\x00\x00\x00\x80\x00\x00\x00\x00"
)
GOLDEN_HASH = "ee7432c766df6a76fa69c907fd1d0d5942653187c416b662671accf4c57635db"

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,8}", fullmatch=True)
ARRAYS = hnp.arrays(np.int32, hnp.array_shapes(min_dims=0, max_dims=3, max_side=4))
TENSORS = st.dictionaries(NAMES, ARRAYS, min_size=1, max_size=4)


def spell(header: bytes, data: bytes) -> bytes:
    """A file with a header written by hand, padded to 8 bytes as the format asks."""
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def test_golden_file_and_hash() -> None:
    data = encode(GOLDEN_TENSORS)
    assert data == GOLDEN_BYTES
    assert model_hash(data) == GOLDEN_HASH


def test_the_hash_is_domain_separated() -> None:
    assert model_hash(GOLDEN_BYTES) != hashlib.sha256(GOLDEN_BYTES).hexdigest()


@given(TENSORS)
def test_decoding_undoes_encoding(tensors: dict[str, np.ndarray]) -> None:
    decoded = decode(encode(tensors))
    assert list(decoded) == sorted(tensors)
    for name, array in tensors.items():
        assert decoded[name].dtype == np.int32
        assert decoded[name].shape == array.shape
        assert (decoded[name] == array).all()


@given(TENSORS)
def test_the_file_does_not_depend_on_insertion_order(tensors: dict[str, np.ndarray]) -> None:
    assert encode(tensors) == encode(dict(reversed(tensors.items())))


@given(hnp.arrays(np.int32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=5)))
def test_memory_layout_and_byte_order_do_not_matter(array: np.ndarray) -> None:
    expected = encode({"w": array.copy(order="C")})
    padded = np.zeros(tuple(2 * side for side in array.shape), dtype=np.int32)
    strided = padded[tuple(slice(None, None, 2) for _ in array.shape)]
    strided[...] = array
    for variant in (np.asfortranarray(array), strided, array[::-1].copy()[::-1], array.astype(">i4")):
        assert encode({"w": variant}) == expected


@given(TENSORS)
def test_it_is_what_safetensors_writes(tensors: dict[str, np.ndarray]) -> None:
    assert encode(tensors) == safetensors.numpy.save({name: tensors[name] for name in sorted(tensors)})


def test_any_safetensors_reader_can_read_a_model() -> None:
    loaded = safetensors.numpy.load(encode(GOLDEN_TENSORS))
    assert loaded.keys() == GOLDEN_TENSORS.keys()
    assert all((loaded[name] == array).all() for name, array in GOLDEN_TENSORS.items())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint32", "int16", "bool"])
def test_other_types_are_refused(dtype: str) -> None:
    array = np.zeros(4, dtype=dtype)
    with pytest.raises(SchemaMismatch, match="type"):
        encode({"w": array})
    with pytest.raises(NotCanonicalModel):
        decode(safetensors.numpy.save({"w": array}))


ENTRY = b'"w":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}'
FOUR = b"\x01\x00\x00\x00"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(spell(b"{" + ENTRY + b"," + ENTRY + b"}", FOUR), id="duplicate key"),
        pytest.param(spell(b"{ " + ENTRY + b"}", FOUR), id="space in the header"),
        pytest.param(spell(b"{" + ENTRY.replace(b":", b": ") + b"}", FOUR), id="spaces after colons"),
        pytest.param(spell(b'{"__metadata__":{"a":"b"},' + ENTRY + b"}", FOUR), id="metadata"),
        pytest.param(spell(b'{"__metadata__":{},' + ENTRY + b"}", FOUR), id="empty metadata"),
        pytest.param(spell(b'{"w":{"shape":[1],"dtype":"I32","data_offsets":[0,4]}}', FOUR), id="members swapped"),
        pytest.param(spell(b'{"\\u0077":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}', FOUR), id="escape"),
        pytest.param(
            spell(
                b'{"b":{"dtype":"I32","shape":[1],"data_offsets":[0,4]},'
                b'"a":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}}',
                2 * FOUR,
            ),
            id="names out of order",
        ),
        pytest.param(spell(b"{" + ENTRY + b"}" + 8 * b" ", FOUR), id="more padding"),
        pytest.param(spell(b"{" + ENTRY + b"}", FOUR + b"\x00"), id="trailing byte"),
        pytest.param(spell(b"{" + ENTRY + b"}", FOUR[:3]), id="byte missing"),
        pytest.param(spell(b"{" + ENTRY.replace(b"[1]", b"[0]").replace(b"4]", b"0]") + b"}", b""), id="no values"),
        pytest.param(spell(b"{" + ENTRY.replace(b'"w"', b'"w/x"') + b"}", FOUR), id="name outside the profile"),
        pytest.param(spell(b"{}", b""), id="no tensors"),
        pytest.param(spell(b"{" + ENTRY.replace(b"[1]", b"[1" + 64 * b",1" + b"]") + b"}", FOUR), id="65 dimensions"),
        pytest.param(b"", id="nothing"),
        pytest.param(struct.pack("<Q", 2**63) + b"{}", id="header length beyond all bounds"),
        pytest.param(struct.pack("<Q", 2**40) + b"{}", id="huge header length"),
        pytest.param(struct.pack("<Q", 0), id="no header"),
        pytest.param(spell(b"[1,2]", b""), id="header is a list"),
        pytest.param(spell(b'{"w":1}', b""), id="entry is a number"),
        pytest.param(spell(b"\xff\xfe{}", b""), id="header is no text"),
    ],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(NotCanonicalModel):
        decode(data)


def test_a_header_claiming_terabytes_allocates_nothing() -> None:
    tracemalloc.start()
    with pytest.raises(NotCanonicalModel, match="claims"):
        decode(struct.pack("<Q", 2**42) + b"{}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_shape_claiming_terabytes_allocates_nothing() -> None:
    entry = json.dumps({"w": {"dtype": "I32", "shape": [2**40], "data_offsets": [0, 2**42]}}, separators=(",", ":"))
    with pytest.raises(NotCanonicalModel):
        decode(spell(entry.encode(), FOUR))


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonicalModel):
        decode(data)


@given(st.integers(0, len(GOLDEN_BYTES) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_another_model(place: int, change: int) -> None:
    data = bytearray(GOLDEN_BYTES)
    data[place] ^= change
    try:
        tensors = decode(bytes(data))
    except NotCanonicalModel:
        return
    assert encode(tensors) == bytes(data)
    assert model_hash(bytes(data)) != GOLDEN_HASH


@given(TENSORS)
def test_flatten_and_unflatten(tensors: dict[str, np.ndarray]) -> None:
    schema = schema_of(tensors)
    vector = flatten(tensors)
    assert vector.shape == (schema.size,)
    assert encode(unflatten(vector, schema)) == encode(tensors)


@pytest.mark.parametrize("vector", [np.zeros(3, np.int32), np.zeros((2, 2), np.int32), np.zeros(4, np.float32)])
def test_unflatten_refuses_what_does_not_fit(vector: np.ndarray) -> None:
    with pytest.raises(SchemaMismatch):
        unflatten(vector, ModelSchema.of({"w": (2, 2)}))


@given(TENSORS)
def test_schemas_survive_json(tensors: dict[str, np.ndarray]) -> None:
    schema = schema_of(tensors)
    assert ModelSchema.from_json(json.loads(json.dumps(schema.as_json()))) == schema
    codec.check_schema(tensors, schema)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        [],
        [{"name": "w"}],
        [{"name": "w", "shape": [1], "more": 1}],
        [{"name": 1, "shape": [1]}],
        [{"name": "w", "shape": "1"}],
        [{"name": "w", "shape": [True]}],
        [{"name": "w", "shape": [1.0]}],
        [{"name": "w", "shape": [0]}],
        [{"name": "w", "shape": [-1]}],
        [{"name": "w", "shape": [1] * 9}],
        [{"name": "w", "shape": [2**20, 2**20]}],
        [{"name": "", "shape": [1]}],
        [{"name": "a b", "shape": [1]}],
        [{"name": "__metadata__", "shape": [1]}],
        [{"name": "w", "shape": [1]}, {"name": "w", "shape": [1]}],
        [{"name": "w", "shape": [1]}, {"name": "b", "shape": [1]}],
    ],
)
def test_bad_schemas_are_refused(value: object) -> None:
    with pytest.raises(SchemaMismatch):
        ModelSchema.from_json(value)


@pytest.mark.parametrize(
    ("tensors", "wrong"),
    [
        ({"a": np.zeros(2, np.int32)}, "b is missing"),
        ({"a": np.zeros(2, np.int32), "b": np.zeros((), np.int32), "c": np.zeros(1, np.int32)}, "c is not part"),
        ({"a": np.zeros(3, np.int32), "b": np.zeros((), np.int32)}, r"a has shape \[3\]"),
        ({"a": np.zeros(2, np.float32), "b": np.zeros((), np.int32)}, "a has type float32"),
    ],
)
def test_tensors_of_another_schema_are_named(tensors: dict[str, np.ndarray], wrong: str) -> None:
    with pytest.raises(SchemaMismatch, match=wrong):
        codec.check_schema(tensors, ModelSchema((TensorSpec("a", (2,)), TensorSpec("b", ()))))
