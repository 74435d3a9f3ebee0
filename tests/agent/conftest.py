"""An agent's home on a temporary disk, and a coordinator that it can talk to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from federation.agent.client import Backoff
from federation.agent.commands.app import app
from federation.agent.config import AgentConfig, CoordinatorSection, DataSection, PolicySection
from federation.agent.home import Home
from federation.agent.loop import Runner
from federation.agent.output import Output
from federation.agent.records import RecordSource
from federation.agent.session import Agent, Surroundings, open_agent
from flxdr.core.keys import Algorithm, PrivateKey
from tests.agent.fake_coordinator import FakeCoordinator
from tests.agent.flows import write_flows
from tests.agent.real_federation import federation

__all__ = ["federation"]

ORG = "org-a"
PEER = "org-b"


@dataclass
class Bench:
    """One agent (`org-a`) and the fake coordinator; `org-b` is a peer whose key the test holds."""

    coordinator: FakeCoordinator
    home: Home
    key: PrivateKey
    config: AgentConfig
    stack: ExitStack
    pauses: list[float] = field(default_factory=list)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            transport=self.coordinator.transport(),
            backoff=Backoff(attempts=3),
            pause=self.pauses.append,
            clock=self.coordinator.clock,
        )

    def open(self) -> Agent:
        """Open the home as a fresh process would."""
        return self.stack.enter_context(open_agent(self.home.folder, Output(), self.surroundings))

    def run_once(self, agent: Agent | None = None) -> None:
        agent = agent or self.open()
        records = RecordSource(agent.config.data, agent.home.folder, agent.key)
        Runner(agent, records, pause=self.pauses.append, once=True).run()

    def cli(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--home", str(self.home.folder)], obj=self.surroundings)

    def cli_json(self, *arguments: str, exit_code: int = 0) -> Any:
        result = self.cli(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return json.loads(result.stdout.splitlines()[-1])


MakeBench = Callable[..., Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    """Make a bench with policies; `enrolled` benches have both members admitted and the genesis pinned."""
    with ExitStack() as stack:

        def make(
            *, enrolled: bool = True, models: Sequence[str] = ("edge-normaliser", "edge-classifier"), **policy: Any
        ) -> Bench:
            data = write_flows(tmp_path / "conn.csv", seed=1)
            config = AgentConfig(
                org_id=ORG,
                name="Organisation A",
                coordinator=CoordinatorSection(url="http://127.0.0.1:9"),
                data=DataSection(paths=(str(data),)),
                policy=PolicySection(models=tuple(models), **policy),
            )
            home, key = Home.create(tmp_path / "home", config, Algorithm.ED25519)
            bench = Bench(FakeCoordinator(), home, key, config, stack)
            if enrolled:
                bench.coordinator.admit(ORG, key)
                bench.coordinator.admit(PEER, PrivateKey.generate(Algorithm.ED25519))
                bench.open().state.set_pin("chain_id", bench.coordinator.genesis)
            return bench

        yield make


@pytest.fixture
def bench(make_bench: MakeBench) -> Bench:
    return make_bench()
