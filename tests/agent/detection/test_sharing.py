"""`flxdr-agent share`: what leaves of an alert, and what never does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.agent.commands.app import app
from federation.agent.errors import ExitCode
from federation.agent.sharing import LEAVES
from tests.agent.conftest import ORG, Bench


@pytest.fixture
def alert(released: Bench, flows: Path, tmp_path: Path) -> Path:
    """An alert with everything in it that must not leave."""
    result = released.cli("detect", str(flows), "--explain", "--reveal-hosts")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    path = tmp_path / "alert.json"
    path.write_text(json.dumps(next(each for each in found if each["family"] == "DDoS")) + "\n")
    return path


def test_facts_leave_and_nothing_else(released: Bench, alert: Path) -> None:
    written = json.loads(alert.read_text())
    (answer,) = released.cli_json("share", str(alert))["shared"]
    (statement,) = released.coordinator.detections.values()
    left = json.loads(statement)
    assert left == {
        "v": 1,
        "chain_id": released.coordinator.genesis,
        "org": ORG,
        "alert_id": written["id"],
        "family": "DDoS",
        "technique": "T1498",
        "score_ppm": round(written["score"] * 1e6),
        "flows": written["flows"],
        "destinations": 1,
        "services": ["tcp/81"],
        "first_seen": written["first_seen"][:17] + "00.000000Z",
        "last_seen": written["last_seen"][:17] + "00.000000Z",
        "action": written["recommendation"]["action"],
        "model_name": "edge-classifier",
        "model_hash": written["model"]["hash"],
        "block_height": 4,
        "note": "",
    }
    assert answer["alert_id"] == written["id"]
    hosts = {written["host"]["pseudonym"], written["host"]["address"], "192.0.2.1"}
    assert not any(host in statement.decode() for host in hosts)


def test_a_dry_run_shows_what_the_next_run_sends(released: Bench, alert: Path) -> None:
    note = "seen before from 10.1.2.3, see alice@example.org"
    (shown,) = released.cli_json("share", str(alert), "--dry-run", "--note", note)["dry_run"]
    assert released.coordinator.detections == {}
    assert shown["leaves"]["note"] == "seen before from [ipv4], see [email]"
    assert {"host.address", "host.pseudonym", "edges.src.address", "explanation"} <= set(shown["stays"])
    assert set(shown["stays"]).isdisjoint(LEAVES)
    released.cli_json("share", str(alert), "--note", note)
    (sent,) = released.coordinator.detections.values()
    assert json.loads(sent) == shown["leaves"]
    text = released.cli("share", str(alert), "--dry-run").stdout
    assert "Nothing was sent." in text
    assert "Stays here: bytes_in" in text


def test_alerts_come_from_a_pipe_as_well(released: Bench, alert: Path) -> None:
    command = ["share", "-", "--home", str(released.home.folder), "--json"]
    result = CliRunner().invoke(app, command, obj=released.surroundings, input=alert.read_text() * 2)
    assert result.exit_code == 0, result.output
    assert len(released.coordinator.detections) == 1


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda alert: None, ExitCode.USAGE),
        (lambda alert: alert.pop("model"), ExitCode.USAGE),
        (lambda alert: alert.update(id="10.0.0.1"), ExitCode.USAGE),
        (lambda alert: alert.update(family="Benign"), ExitCode.USAGE),
        (lambda alert: alert.update(score="high"), ExitCode.USAGE),
        (lambda alert: alert["edges"][0].update(service="10.0.0.1"), ExitCode.USAGE),
        (lambda alert: alert["model"].update(hash="0" * 64), ExitCode.CHECK_FAILED),
    ],
    ids=["no JSON", "no model", "another id", "benign", "no score", "an address as a service", "another model"],
)
def test_what_is_no_alert_is_refused_here(
    released: Bench, alert: Path, spoil: Callable[[dict[str, Any]], Any], code: ExitCode
) -> None:
    document = json.loads(alert.read_text())
    spoil(document)
    changed = json.dumps(document) if document != json.loads(alert.read_text()) else "no alert"
    alert.write_text(changed)
    assert "error" in released.cli_json("share", str(alert), exit_code=code)
    assert released.coordinator.detections == {}


@pytest.mark.parametrize("number", ["18446744073709551616", "1e308", "1" + "0" * 400], ids=["2^64", "10^308", "10^400"])
@pytest.mark.parametrize("member", ["score", "flows", "destinations", "block_height"])
def test_numbers_that_no_alert_holds_are_refused_here(released: Bench, alert: Path, member: str, number: str) -> None:
    text, count = re.subn(rf'"{member}": [\d.]+', f'"{member}": {number}', alert.read_text())
    assert count > 0
    alert.write_text(text)
    assert "error" in released.cli_json("share", str(alert), exit_code=ExitCode.USAGE)
    assert released.coordinator.detections == {}


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-03-01"])
def test_times_that_no_alert_holds_are_refused_here(released: Bench, alert: Path, time: str) -> None:
    document = json.loads(alert.read_text())
    alert.write_text(json.dumps(document | {"first_seen": time}))
    assert "error" in released.cli_json("share", str(alert), exit_code=ExitCode.USAGE)


def test_nothing_to_share_is_said(released: Bench, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name in ("empty", "missing"):
        assert "error" in released.cli_json("share", str(tmp_path / name), exit_code=ExitCode.USAGE)
    long = "word " * 100
    assert "error" in released.cli_json("share", str(tmp_path / "empty"), "--note", long, exit_code=ExitCode.USAGE)
