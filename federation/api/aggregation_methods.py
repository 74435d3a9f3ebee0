"""How a request names an aggregation method, and the table of the methods for the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from federation.aggregation import registry
from federation.aggregation.weighting import WEIGHTINGS


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class ParameterField(serializers.Field[Any, Any, Any, Any]):
    """An integer, or the name of a robust method."""

    default_error_messages = {"invalid": "Not an integer, and not a text."}

    def to_internal_value(self, data: Any) -> int | str:
        if type(data) is not int and not isinstance(data, str):
            self.fail("invalid")
        value: int | str = data
        return value


METHOD_HELP = f"{', '.join(registry.METHODS)}; default: FL_AGGREGATION_METHOD"
PARAMS_HELP = (
    "the method's parameters: integers, and for RobustAggregator the `robust_method`; what is left out has its default "
    "(of the method that is set as FL_AGGREGATION_METHOD: FL_AGGREGATION_PARAMS)"
)
WEIGHTING_HELP = (
    f"{', '.join(WEIGHTINGS)}: how much an update counts in a mean; robust methods count every update alike. "
    "Default: samples for FL_DEFAULT_MODEL and the normaliser, capped for the other models"
)


def method_table() -> str:
    """Every method as a row of a Markdown table: name, how many updates it stands, parameters."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield "| `aggregation_method` | `robust_method` | updates | parameters |"
    yield "|---|---|---|---|"
    for choice in registry.describe():
        robust = choice[registry.ROBUST_METHOD]
        strategy = registry.build(choice["method"], {registry.ROBUST_METHOD: robust} if robust else {})
        cells = (
            f"`{choice['method']}`",
            f"`{robust}`" if robust else "",
            _updates(strategy.minimum(), strategy.maximum()),
            "<br>".join(map(_parameter, choice["parameters"])),
        )
        yield "| " + " | ".join(cells) + " |"


def _updates(minimum: int, maximum: int | None) -> str:
    return f"{minimum} or more" if maximum is None else f"{minimum} to {maximum}"


def _parameter(parameter: dict[str, Any]) -> str:
    allowed = f"{parameter['lowest']} to {parameter['highest']}, default {parameter['default']}"
    return f"`{parameter['name']}` ({allowed}): {parameter['meaning']}"
