"""The examples of `docs/evaluation.md` and `docs/flows.md` do what they are said to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_ml.adapters import FORMATS
from models_ml.registry import MODELS
from tests.agent.conftest import Bench
from tests.agent.detection.conftest import CLASSIFIER, Trained, release
from tests.agent.documented import blocks, run, text_of
from tests.agent.flows import write_flows

COMMANDS = blocks("evaluation.md", "bash")[0].splitlines()


@pytest.fixture
def workplace(released: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A federation that released the graph network too, the files that the documents name, and a second capture."""
    monkeypatch.chdir(tmp_path)
    release(released, "tgnn", MODELS["tgnn"].initial())
    for seed, name in enumerate(("monday.csv", "tuesday.csv"), start=11):
        write_flows(tmp_path / name, seed=seed)
    branch = write_flows(tmp_path / "branch.csv", seed=13)
    branch.write_text(branch.read_text().replace("net-13", "branch-office"))
    own, text = released.config.data.paths, released.home.config_file.read_text()
    assert json.dumps(list(own)) in text
    released.home.config_file.write_text(text.replace(json.dumps(list(own)), json.dumps([*own, str(branch)])))
    return released


def answered(bench: Bench, command: str) -> dict[str, Any]:
    result = run(bench, command if "--json" in command else f"{command.partition('#')[0]} --json")
    assert result.exit_code == 0, (command, result.output)
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def captures_of(answer: dict[str, Any]) -> list[str]:
    return [part["capture"] for part in answer["split"]["parts"]["test"]]


def test_documented_evaluations_run(workplace: Bench, trained: Trained, tmp_path: Path) -> None:
    newest, local, stored = (line.replace("HASH", trained.model_hash) for line in COMMANDS)
    assert "# the newest release of the edge classifier" in newest
    answer = answered(workplace, newest)
    assert (answer["model"], answer["model_hash"]) == (CLASSIFIER, trained.model_hash)
    assert captures_of(answer) == ["net-11", "net-12"]

    answer = answered(workplace, local)
    assert (answer["model"], captures_of(answer), len(answer["models"])) == ("tgnn", ["net-11"], 2)
    assert answer["model_hash"] in (tmp_path / "out.html").read_text()

    answer = answered(workplace, stored)
    assert "a capture as a whole" in stored
    assert (answer["model_hash"], captures_of(answer)) == (trained.model_hash, ["branch-office"])
    assert answer["metrics"]["n"] == 240


def test_the_documented_configuration_tells_of_hosts(workplace: Bench, flows: Path) -> None:
    (example,) = blocks("flows.md", "toml")
    section, *settings = example.splitlines()
    assert section == "[data]"
    names = [line.partition(" = ")[0] for line in settings]
    assert names == ["threat_intel", "host_embeddings"]
    kept = [
        line for line in workplace.home.config_file.read_text().splitlines() if line.partition(" = ")[0] not in names
    ]
    place = kept.index(section) + 1
    workplace.home.config_file.write_text("\n".join((*kept[:place], *settings, *kept[place:])) + "\n")
    hosts = sorted({line.split(",")[2] for line in flows.read_text().splitlines()[1:]})
    pattern = " OR ".join(f"ipv4-addr:value = '{host}'" for host in hosts)
    indicator = {"type": "indicator", "pattern_type": "stix", "pattern": f"[{pattern}]"}
    bundle = {"type": "bundle", "objects": [indicator]}
    (workplace.home.folder / "intel.json").write_text(json.dumps(bundle))
    rows = np.random.default_rng(1).normal(size=(len(hosts), 128)).astype(np.float32)
    np.savez(workplace.home.folder / "hosts.npz", hosts=np.array(hosts), embeddings=rows)

    result = workplace.cli("detect", str(flows))

    assert result.exit_code == 0, result.output
    alerts = [json.loads(line) for line in result.stdout.splitlines()]
    assert alerts
    for alert in alerts:
        assert alert["threat_intel_flows"] == alert["flows"]
        assert len(alert["hosts_alike"]) == 3


def test_every_format_is_documented() -> None:
    assert set(re.findall(r"^\| `([\w-]+)` \|", text_of("flows.md"), re.MULTILINE)) == set(FORMATS)
