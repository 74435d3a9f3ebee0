"""The real coordinator, over real HTTP, with agents that take their turns as the test wants."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from celery import current_app
from django.core.management import call_command
from typer.testing import CliRunner

from federation.agent.commands.app import app
from tests.agent.flows import write_flows
from tests.conftest import SentTasks
from tests.settings import FLXDR as SESSION

ORGS = ("org-a", "org-b", "org-c")


@dataclass
class Federation:
    """Agents' homes, the coordinator's address, and its worker's turn."""

    url: str
    folder: Path
    tasks: SentTasks

    def cli(self, org_id: str, command: str, *arguments: str, exit_code: int = 0) -> list[Any]:
        """What an agent's command answers, as a list of JSON lines."""
        home = ("--home", str(self.folder / org_id), "--json")
        result = CliRunner().invoke(app, [command, *arguments, *home])
        assert result.exit_code == exit_code, f"{org_id} {command}: {result.output}"
        return [json.loads(line) for line in result.stdout.splitlines()]

    def enrol(self, org_id: str, *options: str) -> None:
        data = write_flows(self.folder / f"{org_id}.csv", seed=ord(org_id[-1]) - ord("a") + 1)
        names = ("--org-id", org_id, "--name", org_id.title(), "--coordinator", self.url, "--data", str(data))
        self.cli(org_id, "init", *names, "--admissions", "auto", *options)
        (answer,) = self.cli(org_id, "enrol")
        assert answer["status"] == "active"

    def turn(self, *org_ids: str) -> list[Any]:
        """Everybody's turn: the worker, the agents, the worker; what the agents tell."""
        self.tasks.run()
        told = [event for org_id in org_ids for event in self.cli(org_id, "run", "--once")]
        self.tasks.run()
        return told

    def start_round(self, model: str, **fields: Any) -> str:
        body = {"model": model, "aggregation_method": "FedAvg", "min_orgs_required": 3} | fields
        answer = httpx.post(f"{self.url}/api/fl-blockchain/federation/round/start", json=body)
        assert answer.status_code in {200, 201}, answer.text
        return str(answer.json()["round_id"])

    def round(self, model: str, **fields: Any) -> None:
        """A whole round: everybody submits, then everybody votes."""
        round_id = self.start_round(model, **fields)
        told = self.turn(*ORGS)
        assert [(event["event"], event.get("outcome")) for event in told if event["event"] == "update"] == [
            ("update", "accepted")
        ] * 3
        votes = [event for event in self.turn(*ORGS) if event["event"] == "vote"]
        assert [vote["decision"] for vote in votes] == ["approve"] * 3, votes
        status = httpx.get(f"{self.url}/api/fl-blockchain/federation/round/{round_id}/status").json()
        assert status["status"] == "completed"


@pytest.fixture
def federation(live_server: Any, data_dir: Path, tmp_path: Path, sent_tasks: SentTasks) -> Federation:
    """A coordinator with nothing but its genesis, signed by the key of the test session.

    Other tests leave a genesis behind that a key of their own signed; this one leaves the session's.
    """
    keys = Path(SESSION.data_dir) / "keys"
    if keys.is_dir():
        shutil.copytree(keys, data_dir / "keys", dirs_exist_ok=True)
    call_command("flush", interactive=False, verbosity=0)
    current_app.loader.import_default_modules()
    folder = tmp_path / "agents"
    folder.mkdir()
    return Federation(live_server.url, folder, sent_tasks)
