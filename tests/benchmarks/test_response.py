"""The comparison of the response policy: which version is kept, what is averaged, and when the exit code says no."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import response
from models_ml.registry import MODELS, RL_POLICY
from models_ml.response.actions import CLOSE_BENIGN, MONITOR
from models_ml.response.judging import Played, Responder, by_playbook, by_watching, play
from tests.models_ml.response.banks import bank

INITIAL = MODELS[RL_POLICY].initial()
CELLS = r"^\| ([\w, ]+) \| (-?[\d.]+)"
PLAYED = play(bank(), by_playbook, count=50, seed=0)


def after(rounds: int) -> response.Model:
    """A policy that `scripted` training has gone through so many rounds with."""
    return {name: array + rounds for name, array in INITIAL.items()}


def gave(hours: float, disrupted: int) -> Played:
    """Episodes without attacks that all ended alike."""
    like = np.ones_like(PLAYED.returns)
    return replace(PLAYED, returns=hours * like, benign=like > 0, disrupted=np.full(len(like), disrupted))


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Training adds one to everything; a responder that `_policy` made is known by how many rounds its model has."""
    seeds: list[int] = []

    def train(model: response.Model, incidents: Any, config: Any) -> Any:
        seeds.append(config.seed)
        return SimpleNamespace(delta={name: np.ones_like(array) for name, array in model.items()})

    monkeypatch.setattr("benchmarks.response.training.train", train)
    monkeypatch.setattr(response, "_policy", lambda model: int(model["pi.bias"][0]))
    return seeds


def test_the_best_version_that_is_tame_enough_is_kept(scripted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {1: (-5, 0), 2: (-3, 2), 3: (-1, 3), 4: (-3.5, 1), 5: (-9, 0), 6: (-8, 0)}
    results: dict[Any, Played] = {version: gave(*result) for version, result in versions.items()}
    results[by_playbook] = gave(-4, 2)
    monkeypatch.setattr(response, "play", lambda incidents, responder, **_: results[responder])
    kept = response.federated({"a": bank(0), "b": bank(1)}, seed=2)
    for name, array in after(2).items():
        np.testing.assert_array_equal(kept[name], array)
    assert scripted == [2000 + number for number in range(response.POLICY_ROUNDS) for _ in range(2)]


def test_where_none_is_tame_the_best_of_them_is_kept(scripted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    results: dict[Any, Played] = {number: gave(-number, 5) for number in range(1, response.POLICY_ROUNDS + 1)}
    results[by_playbook] = gave(-4, 1)
    monkeypatch.setattr(response, "play", lambda incidents, responder, **_: results[responder])
    kept = response.federated({"a": bank(0)}, seed=0)
    np.testing.assert_array_equal(kept["pi.bias"], after(1)["pi.bias"])


def test_organisations_count_alike_in_a_mean_that_is_rounded() -> None:
    model = {"x": np.array([10, 20, 30], dtype=np.int32)}
    deltas = [{"x": np.array(values, dtype=np.int32)} for values in ([1, 0, -7], [2, 0, 1], [2, 1, 0])]
    np.testing.assert_array_equal(response._mean_of(model, deltas)["x"], [12, 20, 28])


@pytest.fixture
def organisations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two organisations with incidents at hand, few episodes; what it takes to come to them is other tests' matter."""
    part = SimpleNamespace(train="train", test="test")
    monkeypatch.setattr("benchmarks.response.synthetic.generate", lambda seed, records: {"a": part, "b": part})
    monkeypatch.setattr(response, "trained_basis", lambda streams: {})
    monkeypatch.setattr(response, "labelled_incidents", lambda stream, basis: bank(seed=stream == "test"))
    monkeypatch.setattr(response, "EPISODES", 400)
    monkeypatch.setattr(response, "federated", lambda banks, seed: len(banks))
    monkeypatch.setattr(sys, "argv", ["response", "--seeds", "2"])


def knowing(episodes: Any) -> Any:
    """The playbook where there is an attack; where there is none, the incident is closed as soon as that is allowed."""
    quiet = np.where(episodes.allowed()[:, CLOSE_BENIGN], CLOSE_BENIGN, MONITOR)
    return np.where(episodes.truth > 0, by_playbook(episodes), quiet)


@pytest.mark.usefixtures("organisations")
@pytest.mark.parametrize(("responder", "ahead"), [(knowing, 1), (by_playbook, 0), (by_watching, -1)])
def test_every_response_plays_the_same_episodes(
    responder: Responder, ahead: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(response, "_policy", lambda owners: responder if owners == 2 else by_watching)
    assert response.main() == int(ahead < 1)
    table = {name: float(first) for name, first in re.findall(CELLS, capsys.readouterr().out, re.MULTILINE)}
    assert list(table) == ["nothing", "chance", "playbook", "policy, alone", "policy, federated"]
    assert table["nothing"] == table["policy, alone"] == 0
    assert table["playbook"] > table["chance"] > 0
    assert np.sign(table["policy, federated"] - table["playbook"]) == ahead


@pytest.mark.usefixtures("organisations")
@pytest.mark.parametrize(("hours", "disrupted", "code"), [(-3, 1, 0), (-3, 0, 0), (-3, 2, 1), (-4, 0, 1), (-5, 1, 1)])
def test_the_exit_code_asks_for_more_hours_and_no_more_disruption_than_the_playbook(
    hours: float, disrupted: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "_policy", lambda owners: owners)
    results: dict[Any, Played] = {by_playbook: gave(-4, 1), 2: gave(hours, disrupted)}
    monkeypatch.setattr(response, "_tested", lambda test, responder: results.get(responder, gave(-9, 9)))
    assert response.main() == code
