"""State files: one spelling, readable by any safetensors reader, written and read in pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models_ml import state_file
from models_ml.errors import NotCanonicalState, SchemaMismatch

NAMES = ("momentum", "variance")
STATE = np.array([[0.5, -0.0, 2.0**-1074], [1.0, 1.7976931348623157e308, 3.0]])
GOLDEN_HASH = "9a2901d39c138d55fb93751d0e2ab2302abfa998137d7445f309246600dd1e3e"
FINITE = st.floats(allow_nan=False, allow_infinity=False)
STATES = hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(1, 9)), elements=FINITE)


def test_golden_file() -> None:
    data = state_file.encode(NAMES, STATE)
    assert data.startswith(
        b'\x80\x00\x00\x00\x00\x00\x00\x00{"momentum":{"dtype":"F64","shape":[3],"data_offsets":[0,24]},'
        b'"variance":{"dtype":"F64","shape":[3],"data_offsets":[24,48]}}'
    )
    assert hashlib.sha256(data).hexdigest() == GOLDEN_HASH


@given(STATES)
def test_decoding_undoes_encoding_to_the_bit(state: np.ndarray) -> None:
    decoded = state_file.decode(state_file.encode(NAMES, state), NAMES, state.shape[1])
    assert decoded.dtype == np.float64
    assert decoded.tobytes() == state.tobytes()


@given(STATES)
def test_it_is_what_safetensors_writes(state: np.ndarray) -> None:
    rows = dict(zip(NAMES, np.ascontiguousarray(state), strict=True))
    assert state_file.encode(NAMES, state) == safetensors.numpy.save(rows)


def test_one_vector_is_what_safetensors_writes() -> None:
    momentum = np.arange(5, dtype=np.float64)
    assert state_file.encode(["momentum"], momentum[None]) == safetensors.numpy.save({"momentum": momentum})


def test_memory_layout_and_byte_order_do_not_matter() -> None:
    expected = state_file.encode(NAMES, STATE)
    for variant in (np.asfortranarray(STATE), STATE[:, ::-1].copy()[:, ::-1], STATE.astype(">f8")):
        assert state_file.encode(NAMES, variant) == expected


def test_pieces_after_the_header_make_the_file() -> None:
    pieces = [row[span].tobytes() for row in STATE for span in (slice(0, 2), slice(2, 3))]
    assert state_file.header(NAMES, 3) + b"".join(pieces) == state_file.encode(NAMES, STATE)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda data: data[:-1], id="truncated"),
        pytest.param(lambda data: data + b"\0", id="bytes after the end"),
        pytest.param(lambda data: b"", id="nothing"),
        pytest.param(lambda data: data.replace(b'{"momentum"', b'{"nomentum"'), id="another name"),
        pytest.param(lambda data: data.replace(b'"F64"', b'"I64"'), id="another type"),
        pytest.param(lambda data: data.replace(b"[0,24]", b"[24,0]"), id="other offsets"),
        pytest.param(lambda data: data[:-8] + np.array([np.nan]).tobytes(), id="NaN"),
        pytest.param(lambda data: data[:-8] + np.array([-np.inf]).tobytes(), id="infinity"),
    ],
)
def test_other_files_are_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(NotCanonicalState):
        state_file.decode(change(state_file.encode(NAMES, STATE)), NAMES, 3)


@pytest.mark.parametrize(("names", "size"), [(("momentum",), 6), (NAMES, 2), (("first", "second"), 3)])
def test_the_state_of_another_optimizer_is_refused(names: tuple[str, ...], size: int) -> None:
    with pytest.raises(NotCanonicalState):
        state_file.decode(state_file.encode(NAMES, STATE), names, size)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(NotCanonicalState):
        state_file.encode(NAMES, np.full((2, 3), value))


@pytest.mark.parametrize("state", [np.zeros((2, 3), np.float32), STATE[:1], STATE[0], np.zeros((2, 3), np.int64)])
def test_other_arrays_are_refused(state: np.ndarray) -> None:
    with pytest.raises(SchemaMismatch):
        state_file.encode(NAMES, state)


@pytest.mark.parametrize("names", [(), ("b", "a"), ("a", "a"), ("a b",)])
def test_names_have_one_order(names: tuple[str, ...]) -> None:
    with pytest.raises(SchemaMismatch):
        state_file.header(names, 3)
