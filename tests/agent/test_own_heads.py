"""Heads of the response policy that stay: trained in rounds, kept in the home, used by detection and evaluation."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from federation.agent import own_heads
from federation.agent.errors import ExitCode, HomeInvalid
from federation.round_config import RoundConfig
from ledger.chain.block import parse_header
from models_ml import codec
from models_ml.registry import MODELS, RL_POLICY, TGNN
from models_ml.response import task, training
from models_ml.response.policy import HEADS
from tests.agent.conftest import PEER, Bench, MakeBench
from tests.agent.flows import write_flows
from tests.agent.test_reviews import decisions, zeros
from tests.agent.test_withdrawals import withdraw
from tests.models_ml.response.banks import bank

INITIAL = MODELS[RL_POLICY].initial()


@pytest.fixture
def personal(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An agent that keeps its heads, in a federation that released a graph network; training and judging are short."""
    for name, value in (("SWEEPS", 6), ("LANES", 200), ("JUDGED", 200), ("CONFIRMED", 500)):
        monkeypatch.setattr(training, name, value)
    monkeypatch.setattr(task, "EVALUATED", 500)
    monkeypatch.setattr("federation.agent.training.seed_of", lambda agent, config: 3)
    incidents = bank()
    monkeypatch.setattr(task, "labelled_incidents", lambda data, basis: incidents)
    bench = make_bench(models=(RL_POLICY,))
    keep_heads(bench, keep=True)
    bench.coordinator.start_round(TGNN)
    bench.coordinator.submit_for(PEER, zeros(TGNN))
    bench.coordinator.seal_proposal(bench.coordinator.propose_release(MODELS[TGNN].initial()))
    return bench


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[codec.Tensors]:
    """What each training began with."""
    found: list[codec.Tensors] = []

    def train(parent: codec.Tensors, *rest: Any, **named: Any) -> training.Trained:
        found.append(parent)
        return training.train(parent, *rest, **named)

    monkeypatch.setattr(task, "train", train)
    return found


def keep_heads(bench: Bench, *, keep: bool) -> None:
    text = bench.home.config_file.read_text()
    before, after = json.dumps(not keep), json.dumps(keep)
    bench.home.config_file.write_text(text.replace(f"personal_heads = {before}", f"personal_heads = {after}"))


def start(bench: Bench) -> RoundConfig:
    network = bench.coordinator.state.releases[TGNN].newest.model_hash
    config = bench.coordinator.start_round(RL_POLICY)
    local = config.local.__class__(**{**vars(config.local), "network_hash": network, "epochs": 1})
    return bench.coordinator.start_round(RL_POLICY, local=local)


def take_part(bench: Bench) -> dict[str, Any]:
    """A round up to its sealed release; what this organisation submitted."""
    config = start(bench)
    bench.run_once()
    submitted = bench.coordinator.submitted[config.round_id, "org-a"]
    bench.coordinator.submit_for(PEER, zeros(RL_POLICY))
    proposal = bench.coordinator.propose_release()
    bench.run_once()
    assert decisions(bench)[-1] == (proposal["id"], "approve")
    bench.coordinator.seal_proposal(proposal)
    return codec.decode(submitted.body)


def kept(bench: Bench) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in bench.home.heads.iterdir()}


def test_heads_are_kept_and_the_trunk_alone_leaves(personal: Bench) -> None:
    left = take_part(personal)
    assert not any(left[name].any() for name in HEADS)
    assert any(left[name].any() for name in left.keys() - HEADS)
    (found,) = kept(personal).values()
    heads = codec.decode(found)
    assert heads.keys() == HEADS
    assert all(array.any() for array in heads.values())
    sent = b"".join(request.content for request in personal.coordinator.requests)
    assert not any(array.tobytes() in sent for array in heads.values())
    assert stat.S_IMODE(personal.home.heads.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in personal.home.heads.iterdir()} == {0o600}


def test_detection_and_evaluation_use_them(personal: Bench, tmp_path: Path) -> None:
    take_part(personal)
    flows = str(write_flows(tmp_path / "new.csv", seed=7))
    advice = [json.loads(line)["recommendation"] for line in personal.cli("detect", flows).stdout.splitlines()]
    assert {(each["source"], each["own_heads"], each["policy_block_height"]) for each in advice} == {
        ("policy", True, 4)
    }
    answer = personal.cli_json("evaluate", "latest", "--model", RL_POLICY)
    assert answer["metrics"]["normalised_return"] == pytest.approx(0, abs=1e-12)  # by heads that nobody trained
    assert answer["with_own_heads"]["normalised_return"] > 0.2
    assert "under the heads that are kept here" in personal.cli("evaluate", "latest", "--model", RL_POLICY).stdout
    keep_heads(personal, keep=False)
    result = personal.cli("detect", flows)
    assert "nobody trained the heads" in result.stderr
    assert {json.loads(line)["recommendation"]["own_heads"] for line in result.stdout.splitlines()} == {False}
    assert "with_own_heads" not in personal.cli_json("evaluate", "latest", "--model", RL_POLICY)


def test_the_next_round_goes_on_from_them(personal: Bench, begun: list[codec.Tensors]) -> None:
    take_part(personal)
    (first,) = kept(personal).values()
    take_part(personal)
    assert len(kept(personal)) == 2
    for name in HEADS:
        assert not begun[0][name].any()
        np.testing.assert_array_equal(begun[1][name], codec.decode(first)[name])


def test_after_a_round_that_released_nothing_training_begins_where_it_began(
    personal: Bench, begun: list[codec.Tensors]
) -> None:
    for _ in range(2):
        start(personal)
        personal.run_once()
    assert len(begun) == 2
    assert len(kept(personal)) == 1
    assert not any(parent[name].any() for parent in begun for name in HEADS)


def test_heads_of_a_withdrawn_release_are_used_no_more(personal: Bench) -> None:
    take_part(personal)
    (first,) = kept(personal).values()
    take_part(personal)
    withdraw(personal, 2, RL_POLICY)
    personal.run_once()
    agent = personal.open()
    release = agent.state.newest_release(RL_POLICY)
    assert release is not None
    found = own_heads.heads_of(agent, parse_header(release.header))
    assert codec.encode(found) == first


def test_damaged_heads_train_nothing_and_detection_goes_on(personal: Bench, tmp_path: Path) -> None:
    take_part(personal)
    (path,) = personal.home.heads.iterdir()
    for damaged in (b"nothing", codec.encode({"pi.weight": INITIAL["pi.weight"]})):
        path.write_bytes(damaged)
        start(personal)
        with pytest.raises(HomeInvalid, match=path.name):
            personal.run_once()
        result = personal.cli("detect", str(write_flows(tmp_path / "new.csv", seed=7)))
        assert result.exit_code == ExitCode.OK
        assert f"{path.name}" in result.stderr
        assert {json.loads(line)["recommendation"]["source"] for line in result.stdout.splitlines()} == {"playbook"}
