"""Choosing how to aggregate: what is documented can be chosen, and what is chosen is in the round's configuration."""

from __future__ import annotations

from typing import Any

import pytest

from federation.aggregation import registry
from federation.api import examples
from federation.api.aggregation_methods import method_table
from federation.models import TrainingRound
from federation.round_config import RoundConfig
from tests.api.callers import operator, refuse_with
from tests.api.rounds import register, start_round, stored

pytestmark = pytest.mark.django_db
ORGANIZATIONS = 7
CHOICES = [
    (choice["method"], {registry.ROBUST_METHOD: choice[registry.ROBUST_METHOD]})
    if choice[registry.ROBUST_METHOD]
    else (choice["method"], {})
    for choice in registry.describe()
]


@pytest.fixture(autouse=True)
def organizations() -> None:
    for index in range(ORGANIZATIONS):
        register(f"org-{index}")


def requests(documented: list[Any]) -> list[Any]:
    return [pytest.param(example.value, id=example.name) for example in documented if example.request_only]


@pytest.mark.parametrize("body", requests(examples.ROUND_START))
def test_every_documented_round_can_be_started(body: dict[str, Any]) -> None:
    assert operator().post("federation/round/start", body).status_code == 200


@pytest.mark.parametrize("body", requests(examples.CAMPAIGN_START))
def test_every_documented_campaign_can_be_started(body: dict[str, Any]) -> None:
    assert operator().post("federation/campaign/start", body).status_code == 200


@pytest.mark.parametrize(("method", "params"), CHOICES, ids=str)
def test_every_method_can_be_chosen(method: str, params: dict[str, Any]) -> None:
    start_round(aggregation_method=method, aggregation_params=params)
    config = RoundConfig.decode(bytes(TrainingRound.objects.get().config))
    assert config.aggregation_method == method
    assert config.aggregation_params == registry.resolved(method, params)


@pytest.mark.parametrize(("method", "params"), CHOICES, ids=str)
def test_every_parameter_can_be_chosen_within_its_range_only(method: str, params: dict[str, Any]) -> None:
    described = registry.build(method, params).parameters
    lowest = {parameter.name: parameter.lowest for parameter in described}
    for name, value in lowest.items():
        for wrong in (value - 1, next(p.highest for p in described if p.name == name) + 1):
            before = stored()
            body = {"aggregation_method": method, "aggregation_params": params | {name: wrong}}
            problem = refuse_with(operator().post("federation/round/start", body), 422, "invalid_aggregation")
            assert problem["parameter"] == name
            assert stored() == before
    start_round(aggregation_method=method, aggregation_params=params | lowest)
    config = RoundConfig.decode(bytes(TrainingRound.objects.get().config))
    assert config.aggregation_params == params | lowest


def test_a_campaign_fixes_the_choice_for_its_rounds() -> None:
    params = {"robust_method": "krum", "byzantine": 2}
    body = {"rounds": 2, "aggregation_method": "RobustAggregator", "aggregation_params": params}
    assert operator().post("federation/campaign/start", body).status_code == 200
    config = RoundConfig.decode(bytes(TrainingRound.objects.get().config))
    assert config.aggregation_params == params


def test_the_table_tells_of_every_method_and_parameter() -> None:
    table = method_table()
    for choice in registry.describe():
        robust = choice[registry.ROBUST_METHOD]
        start = f"| `{choice['method']}` | " + (f"`{robust}`" if robust else "") + " |"
        (row,) = [line for line in table.splitlines() if line.startswith(start)]
        most = registry.build(choice["method"], {registry.ROBUST_METHOD: robust} if robust else {}).maximum()
        assert f"| {choice['minimum']} to {most} |" in row if most else f"| {choice['minimum']} or more |" in row
        for parameter in choice["parameters"]:
            assert f"`{parameter['name']}` ({parameter['lowest']} to {parameter['highest']}" in row
            assert parameter["meaning"] in row
