"""`flxdr-agent evaluate`: what is tested on what, alone and beside a local model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from federation.agent.comparing import split_of
from federation.agent.config import DataSection
from federation.agent.errors import DataInvalid, ExitCode
from federation.agent.records import RecordSource
from flxdr.core.keys import Algorithm, PrivateKey
from tests.agent.conftest import Bench
from tests.agent.flows import write_flows

KEY = PrivateKey(Algorithm.ED25519, bytes(range(32)))


def source(home: Path, *paths: str) -> RecordSource:
    return RecordSource(DataSection(paths=paths), home, KEY)


def sizes(
    folder: Path, own: tuple[str, ...], files: list[Path], captures: list[str], *, local: bool
) -> tuple[int, ...]:
    split, _ = split_of(source(folder, *own), files, test_captures=captures, local=local)
    return len(split.training), len(split.held), len(split.test)


def test_what_is_tested_on_what(tmp_path: Path) -> None:
    one, two = (write_flows(tmp_path / f"{seed}.csv", seed=seed) for seed in (1, 2))
    assert sizes(tmp_path, ("1.csv",), [], [], local=False) == (204, 0, 36)
    assert sizes(tmp_path, ("1.csv",), [two], [], local=True) == (204, 36, 240)
    assert sizes(tmp_path, ("1.csv",), [one, two], ["net-2"], local=True) == (204, 36, 240)
    assert sizes(tmp_path, ("1.csv", "2.csv"), [], ["net-2"], local=False) == (204, 36, 240)
    assert sizes(tmp_path, (), [one, two], ["net-2"], local=True) == (204, 36, 240)
    assert sizes(tmp_path, (), [two], [], local=True) == (142, 26, 72)
    assert sizes(tmp_path, (), [two], [], local=False) == (0, 0, 240)
    with pytest.raises(DataInvalid, match="no records to evaluate on"):
        split_of(source(tmp_path), [], test_captures=[], local=False)


@pytest.fixture
def model(bench: Bench, tmp_path: Path) -> str:
    out = tmp_path / "model.safetensors"
    assert bench.cli("train", "--epochs", "2", "--out", str(out)).exit_code == 0
    return str(out)


def test_a_local_model_stands_beside_and_a_report_is_written(bench: Bench, tmp_path: Path, model: str) -> None:
    test = write_flows(tmp_path / "test.csv", seed=77)
    page = tmp_path / "out.html"
    answer: dict[str, Any] = bench.cli_json(
        "evaluate", model, "--data", str(test), "--local", "--epochs", "1", "--report", str(page)
    )
    released, own = answer["models"]
    assert released["metrics"]["n"] == own["metrics"]["n"] == answer["metrics"]["n"] == 240
    assert own["label"] == "own records alone, 1 x 1 epochs"
    assert released["families"][0]["interval_95"][0] <= released["families"][0]["recall"]
    assert answer["split"]["overlap"] == 0
    assert [part["capture"] for part in answer["split"]["parts"]["test"]] == ["net-77"]
    written = page.read_text()
    assert answer["report"] == str(page)
    assert answer["model_hash"] in written
    assert own["label"] in written


def test_testing_on_what_was_trained_on_is_said(bench: Bench, model: str) -> None:
    result = bench.cli("evaluate", model, "--data", bench.config.data.paths[0])
    assert "240 of 240 test records" in result.stderr
    assert "figures are too good" in result.stderr


def test_what_tells_no_families_apart_has_no_report(bench: Bench, tmp_path: Path) -> None:
    out = tmp_path / "normaliser.safetensors"
    assert bench.cli("train", "--model", "edge-normaliser", "--out", str(out)).exit_code == 0
    refused = bench.cli("evaluate", str(out), "--report", str(tmp_path / "out.html"))
    assert refused.exit_code == ExitCode.USAGE
    assert not (tmp_path / "out.html").exists()
    assert "models" not in bench.cli_json("evaluate", str(out))


def test_a_capture_that_is_not_there_is_named(bench: Bench, model: str) -> None:
    refused = bench.cli("evaluate", model, "--test-capture", "nowhere")
    assert refused.exit_code == ExitCode.DATA
    assert "nowhere" in refused.stderr
