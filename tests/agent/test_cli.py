"""The commands as a user types them: answers, exit codes, machine-readable output."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from federation.agent.commands.app import app
from federation.agent.errors import EXIT_CODES_HELP, ExitCode
from federation.agent.home import Home
from models_ml import codec, registry
from tests.agent.conftest import ORG, Bench, MakeBench
from tests.agent.flows import write_flows
from tests.agent.test_reviews import CLASSIFIER, NORMALISER, released

INIT = ("init", "--org-id", "org-a", "--name", "A", "--coordinator", "https://c.example")


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize("algorithm", [(), ("--algorithm", "Ed25519"), ("--algorithm", "ML-DSA-65")])
def test_init_makes_a_home(tmp_path: Path, algorithm: tuple[str, ...]) -> None:
    folder = tmp_path / "home"
    result = invoke(*INIT, *algorithm, "--data", str(tmp_path), "--home", str(folder), "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    home = Home(folder)
    assert answer["key_id"] == home.key().public.key_id
    assert answer["algorithm"] == (algorithm[1] if algorithm else "ML-DSA-65")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert home.config().data.paths == (str(tmp_path),)
    assert home.config().policy.admissions == "manual"

    again = invoke(*INIT, "--home", str(folder), "--json")
    assert again.exit_code == ExitCode.LOCAL_STATE
    assert json.loads(again.stdout)["error"]["code"] == "home_invalid"
    assert home.key().public.key_id == answer["key_id"]


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("init",), ExitCode.USAGE),
        ((*INIT[:-1], "ftp://c"), ExitCode.LOCAL_STATE),
        ((*INIT, "--algorithm", "RSA"), ExitCode.USAGE),
        ((*INIT, "--admissions", "always"), ExitCode.USAGE),
        ((*INIT, "--tolerance", "2"), ExitCode.USAGE),
        (("status",), ExitCode.LOCAL_STATE),
        (("frobnicate",), ExitCode.USAGE),
    ],
)
def test_wrong_use_has_its_exit_code(tmp_path: Path, arguments: tuple[str, ...], exit_code: int) -> None:
    home = () if arguments in {("init",), ("frobnicate",)} else ("--home", str(tmp_path / "home"))
    assert invoke(*arguments, *home).exit_code == exit_code
    assert not (tmp_path / "home").exists()


def test_the_exit_codes_are_documented_and_distinct() -> None:
    assert len({code.value for code in ExitCode}) == len(ExitCode)
    for code in ExitCode:
        assert f" {code.value} " in EXIT_CODES_HELP
    assert "Exit codes" in invoke("--help").stdout


def test_the_home_can_come_from_the_environment(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLXDR_AGENT_HOME", str(bench.home.folder))
    result = CliRunner().invoke(app, ["status", "--json"], obj=bench.surroundings)
    assert json.loads(result.stdout)["home"] == str(bench.home.folder)


def test_status_tells_what_is_remembered(bench: Bench) -> None:
    before = bench.cli_json("status")
    assert (before["height"], before["member"], before["coordinator_answer"]) == (None, False, "ok")
    released(bench, CLASSIFIER)
    bench.run_once()
    after = bench.cli_json("status")
    assert (after["height"], after["member"], after["members"]) == (3, True, ["org-a", "org-b"])
    assert after["releases"][CLASSIFIER] == {
        "version": 1,
        "model_hash": bench.coordinator.state.releases[CLASSIFIER].newest.model_hash,
        "newest": 1,
    }
    assert CLASSIFIER in bench.cli("status").stdout


def test_status_tells_why_an_update_was_left_out(bench: Bench) -> None:
    assert bench.cli_json("status")["last_update"] is None
    assert "last update: none yet" in bench.cli("status").stdout
    config = bench.coordinator.start_round(NORMALISER)
    bench.run_once()
    assert f"last update: {config.round_id}: accepted\n" in bench.cli("status").stdout
    bench.coordinator.looks = {"left_out_reason": None, "anomaly_score": 0.25}
    assert "accepted, anomaly score 0.25" in bench.cli("status").stdout
    bench.coordinator.looks = {"left_out_reason": "too far away", "anomaly_score": 7.5}
    last = bench.cli_json("status")["last_update"]
    assert (last["outcome"], last["left_out_reason"], last["anomaly_score"]) == ("accepted", "too far away", 7.5)
    assert f"{config.round_id}: your update was left out: too far away" in bench.cli("status").stdout


def test_status_tells_why_an_update_was_refused(bench: Bench) -> None:
    bench.coordinator.start_round(NORMALISER)
    refusal = httpx.Response(422, json={"detail": "the norm is too large", "code": "update_invalid"})
    bench.coordinator.lie["federation/round/submit-gradient"] = lambda _, __: refusal
    bench.run_once()
    assert (
        "your update was not taken: the coordinator refused (422): the norm is too large" in bench.cli("status").stdout
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, json={"detail": "unknown", "code": "not_found"}),
        {},
        {"participants": 5},
        {"participants": [5, {"org_id": "org-b", "left_out_reason": "theirs"}]},
        {"participants": [{"org_id": "org-a", "left_out_reason": 5, "anomaly_score": "high"}]},
    ],
)
def test_status_says_of_an_update_what_it_knows(bench: Bench, answer: Any) -> None:
    config = bench.coordinator.start_round(NORMALISER)
    bench.run_once()
    bench.coordinator.lie[f"federation/round/{config.round_id}/participants"] = lambda _, __: answer
    last = bench.cli_json("status")["last_update"]
    assert (last["outcome"], last["left_out_reason"], last["anomaly_score"]) == ("accepted", None, None)


@pytest.mark.parametrize(
    ("answer", "said"),
    [(httpx.Response(503), "not reachable"), ({"protocol_version": 7}, "protocol 7"), (httpx.Response(403), "refused")],
)
def test_status_works_whatever_the_coordinator_says(bench: Bench, answer: Any, said: str) -> None:
    bench.coordinator.lie["info"] = lambda _, __: answer
    assert said in bench.cli_json("status")["coordinator_answer"]


@pytest.mark.parametrize("command", [("run", "--once"), ("proposals",), ("verify",), ("approve", "1"), ("enrol",)])
def test_an_unreachable_coordinator_has_its_exit_code(bench: Bench, command: tuple[str, ...]) -> None:
    def unreachable(_: httpx.Request, __: Any) -> Any:
        raise httpx.ConnectError("refused")

    for path in ("info", "blockchain/head", "blockchain/proposals"):
        bench.coordinator.lie[path] = unreachable
    document = bench.cli_json(*command, exit_code=ExitCode.UNREACHABLE)
    assert document["error"]["code"] == "unreachable"


@pytest.mark.parametrize("command", [("run", "--once"), ("verify",), ("approve", "1")])
def test_an_agent_that_is_not_enrolled_says_so(make_bench: MakeBench, command: tuple[str, ...]) -> None:
    bench = make_bench(enrolled=False)
    bench.coordinator.peers[ORG] = bench.key
    bench.coordinator.propose(bench.coordinator.records[0].header)
    result = bench.cli(*command)
    assert result.exit_code == ExitCode.LOCAL_STATE
    assert "flxdr-agent enrol" in result.stderr


def test_another_protocol_stops_the_run(bench: Bench) -> None:
    bench.coordinator.protocol_version = 2
    assert bench.cli("run", "--once").exit_code == ExitCode.PROTOCOL


def test_a_rollback_stops_the_run(bench: Bench) -> None:
    bench.run_once()
    del bench.coordinator.records[-1]
    assert bench.cli("run").exit_code == ExitCode.CHAIN_CONTRADICTS


def test_two_runs_on_one_home_are_refused(bench: Bench) -> None:
    with bench.home.locked():
        assert bench.cli("run", "--once").exit_code == ExitCode.LOCKED


def test_missing_records_have_their_exit_code(bench: Bench) -> None:
    Path(bench.config.data.paths[0]).unlink()
    bench.coordinator.start_round(NORMALISER)
    assert bench.cli("run", "--once").exit_code == ExitCode.DATA
    assert bench.cli("train").exit_code == ExitCode.DATA


def test_run_speaks_json_lines(bench: Bench) -> None:
    bench.coordinator.start_round(NORMALISER)
    result = bench.cli("run", "--once", "--json")
    assert result.exit_code == 0
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["event"] for event in events] == ["cosigned", "training", "update"]
    assert events[2]["outcome"] == "accepted"


def test_malformed_lines_are_reported_and_left_out(bench: Bench) -> None:
    write_flows(Path(bench.config.data.paths[0]), seed=1, broken=2)
    bench.coordinator.start_round(NORMALISER)
    result = bench.cli("run", "--once")
    assert "2 malformed line(s)" in result.stderr
    assert "line 242" in result.stderr
    assert bench.cli_json("train", "--epochs", "1")["records"][0]["malformed"] == 2


def test_train_writes_a_model_that_evaluate_reads(bench: Bench, tmp_path: Path) -> None:
    out, test = tmp_path / "own.safetensors", write_flows(tmp_path / "test.csv", seed=7)
    answer = bench.cli_json("train", "--rounds", "2", "--epochs", "3", "--learning-rate", "0.05", "--out", str(out))
    assert (answer["samples"], answer["validation_records"]) == (204, 36)
    assert answer["metrics"]["macro_binary_f1"] > 0.9
    codec.check_schema(codec.decode(out.read_bytes()), registry.MODELS[CLASSIFIER].schema)

    found = bench.cli_json("evaluate", str(out), "--data", str(test))
    assert found["model_hash"] == answer["model_hash"]
    assert (list(found["basis"]), found["block_height"], found["metrics"]["n"]) == ([NORMALISER], None, 240)
    assert found["metrics"]["macro_binary_f1"] > 0.9
    assert "macro_binary_f1" in bench.cli("evaluate", str(out)).stdout
    assert bench.coordinator.requests == []


def test_training_is_repeatable(bench: Bench, tmp_path: Path) -> None:
    hashes = {bench.cli_json("train", "--out", str(tmp_path / name))["model_hash"] for name in ("a", "b")}
    assert len(hashes) == 1
    assert bench.cli_json("train", "--seed", "1", "--out", str(tmp_path / "c"))["model_hash"] not in hashes


def test_a_released_model_is_evaluated_with_the_normaliser_before_it(bench: Bench) -> None:
    assert bench.cli("evaluate", "latest").exit_code == ExitCode.CHECK_FAILED
    released(bench, NORMALISER)
    normaliser = bench.coordinator.state.releases[NORMALISER].newest.model_hash
    released(bench, CLASSIFIER, normaliser=normaliser)
    latest = bench.cli_json("evaluate", "latest")
    assert (latest["model"], latest["block_height"], list(latest["basis"])) == (CLASSIFIER, 4, [NORMALISER])
    by_hash = bench.cli_json("evaluate", normaliser)
    assert (by_hash["model"], by_hash["block_height"], by_hash["basis"]) == (NORMALISER, 3, {})


def test_evaluate_refuses_what_is_no_model(bench: Bench, tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"\x00" * 20)
    assert bench.cli("evaluate", str(tmp_path / "missing")).exit_code == ExitCode.USAGE
    assert bench.cli("evaluate", str(broken)).exit_code == ExitCode.DATA
    assert bench.cli("evaluate", "0" * 64).exit_code == ExitCode.REFUSED
    released(bench, CLASSIFIER)
    wrong = bench.coordinator.state.releases[CLASSIFIER].newest.model_hash
    assert bench.cli("evaluate", wrong, "--basis", wrong).exit_code == ExitCode.USAGE


def test_an_unknown_model_cannot_be_trained(bench: Bench) -> None:
    assert bench.cli("train", "--model", "global").exit_code == ExitCode.USAGE
