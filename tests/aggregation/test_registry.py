"""Choosing a method by name: what exists, what it takes, what a mistake is told."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from federation.aggregation import registry
from federation.aggregation.bulyan import Bulyan
from federation.aggregation.centered_clipping import CenteredClipping
from federation.aggregation.errors import MethodInvalid
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.fedprox import FedProx
from federation.aggregation.geometric_median import GeometricMedian
from federation.aggregation.krum import Krum
from federation.aggregation.median import Median
from federation.aggregation.multi_krum import MultiKrum
from federation.aggregation.norm_bounding import NormBounding
from federation.aggregation.strategy import Strategy
from federation.aggregation.trimmed_mean import TrimmedMean


@pytest.mark.parametrize(
    ("method", "params", "expected", "written_out"),
    [
        ("FedAvg", {}, FedAvg(), {}),
        ("FedProx", {}, FedProx(10_000), {"lambda_ppm": 10_000}),
        ("FedProx", {"lambda_ppm": 0}, FedProx(0), {"lambda_ppm": 0}),
        ("RobustAggregator", {}, TrimmedMean(200_000), {"robust_method": "trimmed_mean", "trim_ppm": 200_000}),
        ("RobustAggregator", {"robust_method": "median"}, Median(), {"robust_method": "median"}),
        (
            "RobustAggregator",
            {"robust_method": "trimmed_mean", "trim_ppm": 1},
            TrimmedMean(1),
            {"robust_method": "trimmed_mean", "trim_ppm": 1},
        ),
        (
            "RobustAggregator",
            {"robust_method": "krum", "byzantine": 3},
            Krum(3),
            {"robust_method": "krum", "byzantine": 3},
        ),
        (
            "RobustAggregator",
            {"robust_method": "multi_krum", "byzantine": 2},
            MultiKrum(2, 0),
            {"robust_method": "multi_krum", "byzantine": 2, "keep": 0},
        ),
        (
            "RobustAggregator",
            {"robust_method": "norm_bounding"},
            NormBounding(0),
            {"robust_method": "norm_bounding", "norm_bound_ppm": 0},
        ),
        (
            "RobustAggregator",
            {"robust_method": "centered_clipping", "iterations": 1},
            CenteredClipping(0, 1),
            {"robust_method": "centered_clipping", "radius_ppm": 0, "iterations": 1},
        ),
        (
            "RobustAggregator",
            {"robust_method": "geometric_median"},
            GeometricMedian(32),
            {"robust_method": "geometric_median", "iterations": 32},
        ),
        (
            "RobustAggregator",
            {"robust_method": "bulyan", "byzantine": 2},
            Bulyan(2),
            {"robust_method": "bulyan", "byzantine": 2},
        ),
    ],
)
def test_build_and_write_out(
    method: str, params: dict[str, Any], expected: Strategy, written_out: dict[str, Any]
) -> None:
    assert registry.build(method, params) == expected
    assert registry.resolved(method, params) == written_out
    assert registry.build(method, written_out) == expected


@pytest.mark.parametrize(
    ("method", "params", "told"),
    [
        ("FedSum", {}, r"FedAvg \| FedProx \| FedAvgM \| FedAdam \| FedYogi \| RobustAggregator"),
        ("fedavg", {}, r"FedAvg \| FedProx"),
        ("median", {}, "RobustAggregator"),
        ("FedAvg", {"lambda_ppm": 1}, "no parameters"),
        ("FedProx", {"mu": 1}, "lambda_ppm"),
        ("FedProx", {"lambda_ppm": 1_000_001}, "from 0 to 1000000"),
        ("FedProx", {"lambda_ppm": -1}, "from 0 to 1000000"),
        ("FedProx", {"lambda_ppm": 0.01}, "an integer"),
        ("FedProx", {"lambda_ppm": "1"}, "an integer"),
        ("FedProx", {"lambda_ppm": True}, "an integer"),
        ("FedProx", {"lambda_ppm": None}, "an integer"),
        ("RobustAggregator", {"robust_method": "mode"}, r"median \| trimmed_mean \| krum"),
        ("RobustAggregator", {"robust_method": 7}, r"median \| trimmed_mean \| krum"),
        ("RobustAggregator", {"robust_method": "median", "trim_ppm": 5}, "no parameters"),
        ("RobustAggregator", {"robust_method": "trimmed_mean", "trim_ppm": 500_000}, "from 1 to 499999"),
        ("RobustAggregator", {"robust_method": "trimmed_mean", "trim_ppm": 0}, "from 1 to 499999"),
        ("RobustAggregator", {"robust_method": "krum", "byzantine": 0}, "from 1 to 1000"),
        ("RobustAggregator", {"robust_method": "multi_krum", "byzantine": 0}, "from 1 to 1000"),
        ("RobustAggregator", {"robust_method": "multi_krum", "keep": -1}, "from 0 to 10000"),
        ("RobustAggregator", {"robust_method": "norm_bounding", "norm_bound_ppm": -1}, "from 0 to"),
        ("RobustAggregator", {"robust_method": "norm_bounding", "norm_bound_ppm": 0.5}, "an integer"),
        ("RobustAggregator", {"robust_method": "norm_bounding", "byzantine": 1}, "norm_bound_ppm"),
        ("RobustAggregator", {"robust_method": "centered_clipping", "iterations": 0}, "from 1 to 100"),
        ("RobustAggregator", {"robust_method": "centered_clipping", "radius_ppm": "1"}, "an integer"),
        ("RobustAggregator", {"robust_method": "geometric_median", "iterations": 101}, "from 1 to 100"),
        ("RobustAggregator", {"robust_method": "bulyan", "byzantine": 1001}, "from 1 to 1000"),
        ("RobustAggregator", {"robust_method": "bulyan", "keep": 1}, "byzantine"),
        ("RobustAggregator", {"byzantine": 1}, "trim_ppm"),
    ],
)
def test_a_mistake_is_told_what_is_allowed(method: str, params: dict[str, Any], told: str) -> None:
    with pytest.raises(MethodInvalid, match=told) as caught:
        registry.build(method, params)
    assert caught.value.status == 422
    assert caught.value.fields["parameter"]


@pytest.mark.parametrize("choice", registry.describe(), ids=lambda choice: choice["robust_method"] or choice["method"])
def test_the_description_is_what_build_takes(choice: dict[str, Any]) -> None:
    method = {"robust_method": choice["robust_method"]} if choice["robust_method"] else {}
    for parameter in choice["parameters"]:
        for value in (parameter["lowest"], parameter["default"], parameter["highest"]):
            registry.build(choice["method"], method | {parameter["name"]: value})
        for value in (parameter["lowest"] - 1, parameter["highest"] + 1):
            with pytest.raises(MethodInvalid):
                registry.build(choice["method"], method | {parameter["name"]: value})
    defaults = {parameter["name"]: parameter["default"] for parameter in choice["parameters"]}
    assert registry.build(choice["method"], method).params == defaults
    assert registry.build(choice["method"], method).minimum() == choice["minimum"]


def test_every_strategy_says_formula_source_and_limits() -> None:
    for cls in (*registry.MEANS.values(), *registry.ROBUST_METHODS.values()):
        documentation = sys.modules[cls.__module__].__doc__ or ""
        assert all(word in documentation for word in ("Source", "Limits", "="))
