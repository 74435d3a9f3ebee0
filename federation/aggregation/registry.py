"""Which aggregation methods exist, what they take, and how to build one from a round's configuration.

A new strategy is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from federation.aggregation.bulyan import Bulyan
from federation.aggregation.centered_clipping import CenteredClipping
from federation.aggregation.errors import MethodInvalid
from federation.aggregation.fedadam import FedAdam
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.fedavgm import FedAvgM
from federation.aggregation.fedprox import FedProx
from federation.aggregation.fedyogi import FedYogi
from federation.aggregation.geometric_median import GeometricMedian
from federation.aggregation.krum import Krum
from federation.aggregation.median import Median
from federation.aggregation.multi_krum import MultiKrum
from federation.aggregation.norm_bounding import NormBounding
from federation.aggregation.strategy import Strategy
from federation.aggregation.trimmed_mean import TrimmedMean

ROBUST = "RobustAggregator"
ROBUST_METHOD = "robust_method"
DEFAULT_ROBUST_METHOD = TrimmedMean.name

MEANS: Mapping[str, type[Strategy]] = MappingProxyType(
    {cls.name: cls for cls in (FedAvg, FedProx, FedAvgM, FedAdam, FedYogi)}
)
ROBUST_METHODS: Mapping[str, type[Strategy]] = MappingProxyType(
    {
        cls.name: cls
        for cls in (
            Median,
            TrimmedMean,
            Krum,
            MultiKrum,
            NormBounding,
            CenteredClipping,
            GeometricMedian,
            Bulyan,
        )
    }
)
METHODS: tuple[str, ...] = (*MEANS, ROBUST)


def build(method: str, params: Mapping[str, Any] = MappingProxyType({})) -> Strategy:
    """The strategy of a method's name and its parameters; what is not given has its default.

    Raises:
        MethodInvalid: an unknown method, robust method or parameter, or a value out of range; it says what is allowed.
    """
    cls, own = _chosen(method, params)
    known = {parameter.name: parameter for parameter in cls.parameters}
    for name in own:
        if name not in known:
            raise MethodInvalid(
                f"{cls.name} takes no parameter {name!r}",
                expected=", ".join(known) or "no parameters",
                parameter=name,
            )
    return cls(**{name: known[name].checked(value) for name, value in own.items()})


def resolved(method: str, params: Mapping[str, Any] = MappingProxyType({})) -> dict[str, int | str]:
    """The parameters with every default written out, as a round's configuration records them.

    Raises:
        MethodInvalid: as `build`.
    """
    strategy = build(method, params)
    chosen: dict[str, int | str] = {ROBUST_METHOD: strategy.name} if method == ROBUST else {}
    return chosen | dict(strategy.params)


def describe() -> list[dict[str, Any]]:
    """Every choice as JSON-serialisable data: for the API's documentation, forms and settings."""
    choices: list[tuple[str, str | None, type[Strategy]]] = [(name, None, cls) for name, cls in MEANS.items()]
    choices += [(ROBUST, name, cls) for name, cls in ROBUST_METHODS.items()]
    return [
        {
            "method": method,
            ROBUST_METHOD: robust,
            "minimum": cls().minimum(),
            "parameters": [
                {
                    "name": parameter.name,
                    "default": parameter.default,
                    "lowest": parameter.lowest,
                    "highest": parameter.highest,
                    "meaning": parameter.meaning,
                }
                for parameter in cls.parameters
            ],
        }
        for method, robust, cls in choices
    ]


def _chosen(method: str, params: Mapping[str, Any]) -> tuple[type[Strategy], Mapping[str, Any]]:
    """The strategy's class and its own parameters."""
    if method in MEANS:
        return MEANS[method], params
    if method != ROBUST:
        raise MethodInvalid(f"aggregation method {method!r}", expected=" | ".join(METHODS), parameter="method")
    name = params.get(ROBUST_METHOD, DEFAULT_ROBUST_METHOD)
    if name not in ROBUST_METHODS:
        raise MethodInvalid(
            f"{ROBUST_METHOD} is {name!r}", expected=" | ".join(ROBUST_METHODS), parameter=ROBUST_METHOD
        )
    return ROBUST_METHODS[name], {key: value for key, value in params.items() if key != ROBUST_METHOD}
