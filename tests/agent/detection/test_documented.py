"""The commands of `docs/detection.md` do what they are said to do."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from federation.agent.commands.app import app
from federation.agent.detection import following, reading
from models_ml import codec
from tests.agent.conftest import Bench
from tests.agent.detection.conftest import NORMALISER, Trained

DOCUMENT = (Path(__file__).parents[3] / "docs" / "detection.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


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


def run(bench: Bench, line: str) -> Result:
    """One line as a shell runs it: pipes from `cat` and `head`, and into a file."""
    command, _, target = line.partition("#")[0].partition(" > ")
    *before, last = (shlex.split(part) for part in command.split("|"))
    given = None
    if before:
        text = Path(before[0][-1]).read_text()
        given = text.splitlines(keepends=True)[0] if before[0][0] == "head" else text
    assert last[0] == "flxdr-agent"
    arguments = [*last[1:], "--home", str(bench.home.folder)]
    result = CliRunner().invoke(app, arguments, obj=bench.surroundings, input=given)
    if target:
        Path(target.strip()).write_text(result.stdout)
    return result


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
