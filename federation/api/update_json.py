"""The JSON form of an update: nested lists of numbers, or base64 of an array."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from federation.api.errors import MalformedJson, ShapeMismatch, UnreadableBody
from federation.api.identifiers import Identifier
from flxdr.core.errors import TooLarge

MAX_DIMENSIONS = 8
MAX_LIST_BYTES = 24 * 2**20
"""Of `model_weights`: room for a million numbers in full precision. Lists take up to 28 times their text in memory
while they are read, so there is no room for more."""
DTYPES = {"float32": "<f4", "float64": "<f8", "int32": "<i4"}

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Dimension = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class Gradient(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`model_weights`, or `data` with `dtype`; `shape` and `samples_seen` always."""

    shape: Annotated[list[_Dimension], msgspec.Meta(min_length=1, max_length=MAX_DIMENSIONS)]
    samples_seen: int
    model_weights: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: bytes | msgspec.UnsetType = msgspec.UNSET
    dtype: Literal["float32", "float64", "int32"] | msgspec.UnsetType = msgspec.UNSET


class SubmissionDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `round/submit-gradient`."""

    round_id: Identifier
    org_id: Identifier
    gradient: Gradient
    metrics: Annotated[dict[_Name, float], msgspec.Meta(max_length=64)] = {}
    kind: Literal["weights", "delta"] = "weights"
    privacy: Annotated[dict[_Name, Any], msgspec.Meta(max_length=32)] = msgspec.field(
        default_factory=lambda: {"mechanism": "none"}
    )


def decode_json(data: bytes | memoryview, form: type[Any]) -> Any:
    """Parse JSON into `form`.

    Raises:
        MalformedJson: no JSON (NaN and Infinity are none), or nested too deeply.
        UnreadableBody: JSON with missing, unknown or mistyped fields.
    """
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.ValidationError as error:
        raise UnreadableBody(str(error), action="Compare the body with the API's schema at /docs.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJson(str(error), expected="RFC 8259 JSON in UTF-8; it has no NaN and no Infinity") from error
    except RecursionError as error:
        raise MalformedJson("the JSON is nested too deeply", expected="a body of the documented form") from error


def read_array(gradient: Gradient) -> NDArray[Any]:
    """The numbers of a gradient in their declared shape: float64 from lists, the declared dtype from base64.

    Raises:
        UnreadableBody: both or neither of `model_weights` and `data`, or an element that is no number.
        ShapeMismatch: the numbers do not fill `shape`.
        TooLarge: lists beyond `MAX_LIST_BYTES`.
    """
    shape = tuple(gradient.shape)
    if isinstance(gradient.data, bytes) and isinstance(gradient.dtype, str) and gradient.model_weights is msgspec.UNSET:
        return _from_bytes(gradient.data, gradient.dtype, shape)
    if isinstance(gradient.model_weights, msgspec.Raw) and gradient.data is msgspec.UNSET:
        if gradient.dtype is not msgspec.UNSET:
            raise UnreadableBody(
                "`dtype` describes `data`; lists have none", expected="`model_weights` without `dtype`"
            )
        return _from_lists(gradient.model_weights, shape)
    raise UnreadableBody(
        "the gradient holds no single array",
        expected="`model_weights` (nested lists), or `data` (base64) with `dtype`",
    )


def _from_bytes(data: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    kind = np.dtype(DTYPES[dtype])
    expected = math.prod(shape) * kind.itemsize
    if len(data) != expected:
        raise ShapeMismatch(
            f"`data` holds {len(data)} bytes",
            expected=f"{expected} bytes for shape {list(shape)} of {dtype}",
        )
    return np.frombuffer(data, dtype=kind).reshape(shape)


def _from_lists(raw: msgspec.Raw, shape: tuple[int, ...]) -> NDArray[Any]:
    size = len(memoryview(raw))
    if size > MAX_LIST_BYTES:
        raise TooLarge(
            f"`model_weights` has {size} bytes",
            expected=f"lists of at most {MAX_LIST_BYTES} bytes",
            action="Send the numbers as base64 in `data`, or as a safetensors file.",
            limit_bytes=MAX_LIST_BYTES,
        )
    try:
        lists = msgspec.json.decode(raw, type=_nested_lists(len(shape)))
    except msgspec.ValidationError as error:
        raise ShapeMismatch(
            f"`model_weights` are no numbers in {len(shape)} dimensions: {error}",
            expected=f"lists of numbers nested as the shape {list(shape)} says",
        ) from error
    try:
        array = np.array(lists, dtype=np.float64)
    except ValueError as error:
        raise ShapeMismatch(
            "`model_weights` are ragged", expected=f"lists that fill the shape {list(shape)}"
        ) from error
    if array.shape != shape:
        raise ShapeMismatch(
            f"`model_weights` have the shape {list(array.shape)}", expected=f"the declared shape {list(shape)}"
        )
    return array


@cache
def _nested_lists(dimensions: int) -> Any:
    form: Any = float
    for _ in range(dimensions):
        form = list[form]
    return form
