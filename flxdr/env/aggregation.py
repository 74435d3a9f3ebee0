"""How updates are combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federation.aggregation.registry import METHODS, ROBUST_METHODS
from flxdr.platform.configuration import choice, integer, integers, real, variable

GROUP = "Aggregation"


@dataclass(frozen=True)
class Aggregation:
    """The group *Aggregation*."""

    aggregation_method: str = variable(
        "FL_AGGREGATION_METHOD",
        choice(*METHODS),
        "FedProx",
        "aggregation of a round that names none",
        group=GROUP,
    )
    aggregation_robust_method: str = variable(
        "FL_AGGREGATION_ROBUST_METHOD",
        choice(*ROBUST_METHODS),
        "trimmed_mean",
        "what `RobustAggregator` runs",
        group=GROUP,
    )
    proximal_parameter: float = variable(
        "FL_PROXIMAL_PARAMETER", real(at_least=0, at_most=1), "0.01", "lambda of FedProx", group=GROUP
    )
    aggregation_params: Mapping[str, int] | None = variable(
        "FL_AGGREGATION_PARAMS",
        integers(),
        "",
        "parameters of the method that is set above, such as `byzantine=2`; other methods keep their own defaults. "
        "Names and ranges: `round/start` at `/docs`",
        group=GROUP,
    )
    aggregation_shard_values: int = variable(
        "FL_AGGREGATION_SHARD_VALUES",
        integer(2**10, 2**40),
        str(2**26),
        "values (organisations x coordinates) that one worker aggregates at a time; rounds with more are shared among "
        "the workers by ranges of coordinates, with the same result",
        group=GROUP,
    )
