"""The JSON form of an update as the schema documents it; `update_json` is what parses it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from federation.api.update_json import DTYPES, MAX_DIMENSIONS

_NUMBERS = {
    "type": "array",
    "items": {"oneOf": [{"type": "number"}, {"type": "array", "items": {}}]},
    "description": "lists of numbers, nested as `shape` says; or use `data`",
}


@extend_schema_field(_NUMBERS)
class NestedNumbersField(serializers.ListField):
    """Nested lists of numbers."""


class GradientDocument(serializers.Serializer[Any]):
    """One array: `model_weights`, or `data` with `dtype`."""

    model_weights = NestedNumbersField(required=False)
    data = serializers.CharField(  # type: ignore[assignment]  # the wire's name; DRF takes fields off the class
        required=False, help_text="base64 of the little-endian array"
    )
    dtype = serializers.ChoiceField(
        choices=tuple(DTYPES), required=False, help_text="of `data`; int32 is fixed point in units of 2^-24"
    )
    shape = serializers.ListField(child=serializers.IntegerField(min_value=1), min_length=1, max_length=MAX_DIMENSIONS)
    samples_seen = serializers.IntegerField(min_value=1)


class UpdateDocument(serializers.Serializer[Any]):
    """An update as JSON."""

    round_id = serializers.CharField(max_length=64)
    org_id = serializers.CharField(max_length=64)
    gradient = GradientDocument()
    metrics = serializers.DictField(child=serializers.FloatField(), required=False)
    kind = serializers.ChoiceField(
        choices=("weights", "delta"), required=False, help_text="the whole model (default), or its difference"
    )
    privacy = serializers.DictField(required=False, help_text="declared mechanism and parameters; default: none")
