"""`flxdr-agent detect`: what it tells, who vouches for it, and what it refuses."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st

from federation.agent.detection import following, reading
from federation.agent.detection.alerts import moment, told
from federation.agent.detection.choice import choose_model
from federation.agent.detection.scorers import EdgeScorer, scorer_for
from federation.agent.detection.thresholds import threshold_for
from federation.agent.detection.writing import Table
from federation.agent.errors import ExitCode
from federation.agent.records import RecordSource
from federation.detections.techniques import TECHNIQUES
from flxdr.core.clock import format_timestamp
from models_ml import codec
from models_ml.edge_stream import concat
from models_ml.registry import MODELS
from models_ml.response.actions import NAMES
from tests.agent.conftest import Bench
from tests.agent.detection.conftest import CLASSIFIER, NORMALISER, Trained, release
from tests.agent.test_withdrawals import withdraw

FLOODS, FALSE_ALARMS = 120, 6


def alerts(bench: Bench, *arguments: str, exit_code: int = 0) -> list[dict[str, Any]]:
    result = bench.cli("detect", *arguments)
    assert result.exit_code == exit_code, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def saved(folder: Path, trained: Trained) -> str:
    """The model as `train` writes it, with its normaliser beside it."""
    path = folder / "mine.safetensors"
    path.write_bytes(codec.encode(trained.model.tensors))
    path.with_suffix(f".{NORMALISER}.safetensors").write_bytes(codec.encode(trained.model.basis[NORMALISER]))
    return str(path)


def test_a_release_raises_alerts_that_say_everything(released: Bench, trained: Trained, flows: Path) -> None:
    found = alerts(released, str(flows))
    flows_of: Counter[str] = Counter()
    for alert in found:
        flows_of[alert["family"]] += alert["flows"]
    assert flows_of.pop("DDoS") == FLOODS
    assert flows_of.total() <= FALSE_ALARMS
    assert len({(alert["host"]["pseudonym"], alert["first_seen"][:15]) for alert in found}) <= len(found)
    assert len({alert["id"] for alert in found}) == len(found)
    alert = next(alert for alert in found if alert["family"] == "DDoS")
    assert alert["status"] == "ended"
    assert alert["technique"] == {
        "id": TECHNIQUES["DDoS"],
        "name": "Network Denial of Service",
        "tactics": ["impact"],
    }
    assert 0.5 <= alert["score"] <= 1
    assert alert["edges"][0]["service"] == "tcp/81"
    assert alert["edges"][0]["src"] == alert["host"]
    advice = alert["recommendation"]
    assert advice["action"] in NAMES
    assert advice["action"] not in advice["masked"]
    assert advice["source"] == "playbook"
    assert "reset_credentials" in advice["masked"]
    assert alert["model"] == {
        "name": CLASSIFIER,
        "version": 1,
        "hash": trained.model_hash,
        "block_height": 4,
        "vouched_by": "block 4 of the verified chain",
        "basis": {NORMALISER: codec.model_hash(codec.encode(trained.model.basis[NORMALISER]))},
        "calibrated": True,
    }


def test_no_address_leaves_the_adapter_unless_asked_for(released: Bench, flows: Path) -> None:
    text = json.dumps(alerts(released, str(flows), "--explain"))
    assert "10.0.7." not in text
    assert "192.0.2.1" not in text
    revealed = alerts(released, str(flows), "--reveal-hosts")
    assert all(alert["host"]["address"].startswith("10.0.7.") for alert in revealed)
    assert all(edge["dst"]["address"] == "192.0.2.1" for alert in revealed for edge in alert["edges"])


def test_the_same_flows_raise_the_same_alerts(released: Bench, flows: Path) -> None:
    first, second = ({each["id"]: each["flows"] for each in alerts(released, str(flows))} for _ in range(2))
    assert first == second
    longer = alerts(released, str(flows), "--window", "3600")
    assert set(first).isdisjoint(each["id"] for each in longer)
    assert len(longer) < len(first)


def test_without_a_release_it_says_what_to_do(bench: Bench, flows: Path) -> None:
    problem = bench.cli_json("detect", str(flows), exit_code=ExitCode.CHECK_FAILED)["error"]
    assert "no release" in problem["detail"]
    assert "flxdr-agent train" in problem["action"]


def test_a_file_of_ones_own_detects_and_nobody_vouches(
    bench: Bench, trained: Trained, flows: Path, tmp_path: Path
) -> None:
    found = alerts(bench, str(flows), "--model", saved(tmp_path, trained))
    assert FLOODS <= sum(alert["flows"] for alert in found) <= FLOODS + FALSE_ALARMS
    assert found[0]["model"]["block_height"] is None
    assert "no block" in found[0]["model"]["vouched_by"]


def test_a_withdrawn_release_does_not_detect(released: Bench, trained: Trained, flows: Path) -> None:
    withdraw(released, 1)
    error = released.cli_json("detect", str(flows), "--model", trained.model_hash, exit_code=ExitCode.CHECK_FAILED)
    assert "withdrawn" in error["error"]["detail"]


def test_a_release_whose_normaliser_was_withdrawn_does_not_detect(bench: Bench, trained: Trained, flows: Path) -> None:
    release(bench, NORMALISER, MODELS[NORMALISER].initial())
    release(bench, NORMALISER, trained.model.basis[NORMALISER])
    release(bench, CLASSIFIER, trained.model.tensors)
    assert alerts(bench, str(flows))[0]["model"]["basis"].keys() == {NORMALISER}
    withdraw(bench, 2, NORMALISER)
    for target in ("latest", trained.model_hash):
        error = bench.cli_json("detect", str(flows), "--model", target, exit_code=ExitCode.CHECK_FAILED)["error"]
        assert f"withdrew the {NORMALISER} that model {trained.model_hash} builds on" in error["detail"]
    evaluated = bench.cli("evaluate", "latest")
    assert evaluated.exit_code == 0
    assert f"withdrew the {NORMALISER} that it builds on" in evaluated.stderr
    release(bench, CLASSIFIER, MODELS[CLASSIFIER].initial())  # made after it, with the normaliser that stands
    initial = codec.model_hash(codec.encode(MODELS[NORMALISER].initial()))
    agent = bench.open()
    assert choose_model(agent, "latest").basis_hashes == {NORMALISER: initial}


def test_a_policy_whose_network_was_withdrawn_does_not_advise(released: Bench, flows: Path) -> None:
    release(released, "tgnn", {name: array // 2 for name, array in MODELS["tgnn"].initial().items()})
    release(released, "tgnn", MODELS["tgnn"].initial())
    initial = MODELS["rl-policy"].initial()
    release(released, "rl-policy", initial | {"pi.bias": initial["pi.bias"] + 1})
    assert alerts(released, str(flows))[0]["recommendation"]["policy_block_height"] == 7
    withdraw(released, 2, "tgnn")
    result = released.cli("detect", str(flows))
    assert "withdrew the tgnn that it builds on: the playbook recommends" in result.stderr
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert {alert["recommendation"]["policy_block_height"] for alert in told} == {None}
    assert {(alert["model"]["name"], alert["model"]["version"]) for alert in told} == {("tgnn", 1)}


def test_a_policy_whose_heads_nobody_trained_does_not_advise(released: Bench, flows: Path) -> None:
    for name in ("tgnn", "rl-policy"):
        release(released, name, MODELS[name].initial())
    result = released.cli("detect", str(flows))
    assert "nobody trained the heads of the policy of block 6: the playbook recommends" in result.stderr
    advice = [json.loads(line)["recommendation"] for line in result.stdout.splitlines()]
    assert {each["source"] for each in advice} == {"playbook"}


def test_it_goes_on_while_the_coordinator_is_away(released: Bench, flows: Path) -> None:
    first = alerts(released, str(flows))
    for path in ("blockchain/head", "blockchain/checkpoint"):
        released.coordinator.lie[path] = lambda _, __: httpx.Response(503)
    result = released.cli("detect", str(flows))
    assert result.exit_code == 0
    assert "going on with what was verified before" in result.stderr
    assert len(result.stdout.splitlines()) == len(first)


def test_models_that_detect_nothing_are_refused(released: Bench, trained: Trained, flows: Path) -> None:
    digest = codec.model_hash(codec.encode(trained.model.basis[NORMALISER]))
    error = released.cli_json("detect", str(flows), "--model", digest, exit_code=ExitCode.USAGE)
    assert "detects nothing" in error["error"]["detail"]


def test_a_high_minimum_leaves_alerts_out(released: Bench, flows: Path) -> None:
    every = alerts(released, str(flows))
    border = float(np.median([alert["score"] for alert in every]))
    fewer = alerts(released, str(flows), "--min-score", str(border))
    assert len(fewer) > 0
    assert all(alert["score"] >= border - 1e-6 for alert in fewer)
    assert len(fewer) < len(every)


def test_bad_lines_and_bad_files(released: Bench, flows: Path, tmp_path: Path) -> None:
    with flows.open("a") as file:
        file.write("nonsense\n")
    result = released.cli("detect", str(flows))
    assert "242: 1 fields instead of 22" in result.stderr
    assert "240 flows, 1 bad lines" in result.stderr
    (tmp_path / "poem").write_text("no flows\n")
    for bad in ("poem", "missing"):
        assert "error" in released.cli_json("detect", str(tmp_path / bad), exit_code=ExitCode.DATA)
    assert "error" in released.cli_json("detect", str(flows), "--format", "pcap", exit_code=ExitCode.USAGE)


def test_json_ends_with_what_was_done(released: Bench, flows: Path) -> None:
    told = released.cli_json("detect", str(flows))
    assert told["event"] == "finished"
    assert (told["flows"], told["malformed"]) == (240, 0)
    assert told["alerts"] == len(alerts(released, str(flows)))


def test_what_a_log_holds_moves_no_cursor_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    alert = {
        "id": "0" * 32,
        "last_seen": "2026-01-01T00:00:00Z",
        "host": {"pseudonym": "0" * 16, "address": "\x1b[2J"},
        "family": "Scan",
        "technique": {"id": "T1046"},
        "score": 0.9,
        "flows": 1,
        "destinations": 1,
        "edges": [],
        "recommendation": {"action": "observe", "approval": "none"},
        "explanation": ["1 flow(s) to \x1b[2J"],
    }
    Table(at_once=True).write([alert])
    assert "\x1b" not in capsys.readouterr().out


def test_a_table_for_people(released: Bench, flows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = released.cli("detect", str(flows), "--output", "table", "--explain")
    assert result.exit_code == 0
    for text in ("T1498", "DDoS", "tcp/81", "isolate_host", "look like DDoS"):
        assert text in result.stdout


def test_stix_for_other_tools(released: Bench, flows: Path) -> None:
    every = alerts(released, str(flows))
    bundle = stix2.parse(released.cli("detect", str(flows), "--output", "stix").stdout)
    sightings = [item for item in bundle.objects if item.type == "sighting"]
    assert len(sightings) == len(every)
    assert sum(item["count"] for item in sightings) == sum(alert["flows"] for alert in every)
    (extension,) = sightings[0].extensions.values()
    assert (extension["host"], extension["block_height"]) == (every[0]["host"]["pseudonym"], 4)
    assert not [item for item in bundle.objects if item.type in {"observed-data", "ipv4-addr"}]
    notes = [item for item in bundle.objects if item.type == "note"]
    assert any("close_benign is masked" in note.content for note in notes)
    revealed = stix2.parse(released.cli("detect", str(flows), "--output", "stix", "--reveal-hosts").stdout)
    addresses = {item.value for item in revealed.objects if item.type == "ipv4-addr"}
    assert "192.0.2.1" in addresses
    assert any(item.type == "observed-data" for item in revealed.objects)


def test_crown_jewels_are_not_touched_before_somebody_was_asked(released: Bench, flows: Path) -> None:
    hosts = sorted({line.split(",")[2] for line in flows.read_text().splitlines()[1:]})
    text = released.home.config_file.read_text()
    released.home.config_file.write_text(text.replace("crown_jewels = []", f"crown_jewels = {json.dumps(hosts)}"))
    masks = [alert["recommendation"]["masked"] for alert in alerts(released, str(flows))]
    assert masks
    assert all("escalate first" in masked["isolate_host"] for masked in masks)


def test_own_knowledge_of_hosts_is_told_beside_an_alert(released: Bench, flows: Path, tmp_path: Path) -> None:
    hosts = sorted({line.split(",")[2] for line in flows.read_text().splitlines()[1:]})
    rows = np.random.default_rng(1).normal(size=(len(hosts), 128)).astype(np.float32)
    np.savez(tmp_path / "hosts.npz", hosts=np.array(hosts), embeddings=rows)
    patterns = [f"[ipv4-addr:value = '{host}']" for host in hosts]
    indicators = [{"type": "indicator", "pattern_type": "stix", "pattern": pattern} for pattern in patterns]
    (tmp_path / "intel.json").write_text(json.dumps({"type": "bundle", "objects": indicators}))
    plain = alerts(released, str(flows))
    text = released.home.config_file.read_text()
    text = text.replace("threat_intel = []", f"threat_intel = {json.dumps([str(tmp_path / 'intel.json')])}")
    text = text.replace('host_embeddings = ""', f"host_embeddings = {json.dumps(str(tmp_path / 'hosts.npz'))}")
    released.home.config_file.write_text(text)
    told = alerts(released, str(flows))
    assert [each["score"] for each in told] == [each["score"] for each in plain]
    assert {each["threat_intel_flows"] for each in plain} == {0}
    for before, each in zip(plain, told, strict=True):
        assert "hosts_alike" not in before
        assert each["threat_intel_flows"] == each["flows"]
        assert len(each["hosts_alike"]) == 3
        assert each["host"]["pseudonym"] not in {other["pseudonym"] for other in each["hosts_alike"]}


def test_thresholds_are_made_once_for_a_model_and_records(released: Bench, flows: Path) -> None:
    agent = released.open()
    source = RecordSource(agent.config.data, agent.home.folder, agent.key)
    found = choose_model(agent, "latest")
    made = threshold_for(agent, found, source)
    (kept,) = released.home.calibrations.iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    again = threshold_for(agent, found, RecordSource(agent.config.data, agent.home.folder, agent.key))
    assert np.array_equal(made.calibration.thresholds, again.calibration.thresholds)
    assert (made.calibration.slope, made.is_calibrated) == (again.calibration.slope, True)
    Path(agent.config.data.paths[0]).write_bytes(flows.read_bytes())
    threshold_for(agent, found, RecordSource(agent.config.data, agent.home.folder, agent.key))
    assert len(list(released.home.calibrations.iterdir())) == 2


def test_pieces_score_as_the_whole(trained: Trained) -> None:
    held = concat([trained.held, trained.held.select(slice(0, 5))])
    whole = EdgeScorer(trained.model.tensors, trained.model.basis).score(held.select(slice(0, 36)))
    scorer = EdgeScorer(trained.model.tensors, trained.model.basis)
    pieces = [held.select(slice(start, min(start + 7, 36))) for start in range(0, 36, 7)]
    parts = [scorer.score(piece).probabilities for piece in pieces]
    assert np.allclose(np.concatenate(parts), whole.probabilities, atol=1e-6)
    late = scorer.score(held.select(slice(36, None)))  # older than what was scored before
    assert len(late.probabilities) == 5
    assert len(scorer.score(held.select(slice(0, 0))).probabilities) == 0


def test_the_graph_network_is_preferred_and_explains(released: Bench, flows: Path) -> None:
    release(released, "tgnn", MODELS["tgnn"].initial())
    agent = released.open()
    found = choose_model(agent, "latest")
    assert (found.name, found.height) == ("tgnn", 5)
    assert scorer_for(found).score(reading_of(released, flows)).embedding is not None
    told = alerts(released, str(flows), "--explain")
    assert all(alert["model"]["name"] == "tgnn" for alert in told)
    assert all(alert["explanation"] for alert in told)


def reading_of(bench: Bench, flows: Path) -> Any:
    agent = bench.open()
    source = RecordSource(agent.config.data, agent.home.folder, agent.key)
    return source.load_files([flows])[0]


def test_following_tells_at_once_and_again_at_the_end(
    released: Bench, flows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {alert["id"]: alert["flows"] for alert in alerts(released, str(flows))}
    at_signal = iter([False] * 3 + [True])

    def pieces(self: Any) -> Any:
        source = self._source
        for piece in reading.whole(source, source.report()):
            for start in range(0, len(piece), 80):
                yield piece.select(slice(start, start + 80))
                if next(at_signal):
                    signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(following.Following, "pieces", pieces)
    told = alerts(released, str(flows), "--follow")
    by_status = {
        status: {alert["id"]: alert["flows"] for alert in told if alert["status"] == status}
        for status in ("open", "ended")
    }
    assert by_status["ended"] == whole
    assert set(by_status["open"]) == set(whole)
    assert len(told) == 2 * len(whole)
    first_of = {alert["id"]: alert["status"] for alert in reversed(told)}
    assert set(first_of.values()) == {"open"}


@given(st.floats(0, 2.0**40))
def test_times_are_written_as_everywhere(seconds: float) -> None:
    assert told(seconds) == format_timestamp(moment(seconds))
    assert moment(2.0**40).year == 9999
