"""The commands of `docs/detection.md` do what they are said to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from federation.agent.detection import following, reading
from models_ml import codec
from tests.agent.conftest import Bench
from tests.agent.detection.conftest import NORMALISER, Trained
from tests.agent.documented import blocks, run, text_of

DOCUMENT = text_of("detection.md")
BLOCKS = blocks("detection.md")


@pytest.fixture
def workplace(released: Bench, trained: Trained, flows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A folder with the files that the document names; a followed log ends with its last line."""
    monkeypatch.chdir(tmp_path)
    flows.rename("conn.log")
    Path("mine.safetensors").write_bytes(codec.encode(trained.model.tensors))
    Path(f"mine.{NORMALISER}.safetensors").write_bytes(codec.encode(trained.model.basis[NORMALISER]))

    def pieces(self: Any) -> Any:
        return reading.whole(self._source, self._source.report())

    monkeypatch.setattr(following.Following, "pieces", pieces)
    return released


@pytest.mark.parametrize(("block", "commands"), [(0, 8), (1, 3)], ids=["detect", "share"])
def test_documented_commands_run(workplace: Bench, block: int, commands: int) -> None:
    lines = BLOCKS[block].splitlines()
    assert len(lines) == commands
    for line in lines:
        result = run(workplace, line)
        assert result.exit_code == 0, (line, result.output)
        assert result.stdout or " > " in line, line
    notes = [json.loads(statement)["note"] for statement in workplace.coordinator.detections.values()]
    assert notes == ["scanned us twice"] * block


def test_every_member_of_an_alert_is_documented(workplace: Bench) -> None:
    alert = json.loads(run(workplace, "flxdr-agent detect conn.log --explain").stdout.splitlines()[0])
    documented = set(re.findall(r"`(\w+)`", DOCUMENT.partition("## An alert")[2].partition("### STIX")[0]))
    assert set(alert) <= documented
