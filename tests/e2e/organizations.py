"""Organisations whose agents run inside the test, one step at a time: the product's own agent over real HTTP."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from federation.agent import enrolment
from federation.agent.config import AgentConfig, CoordinatorSection, DataSection, PolicySection
from federation.agent.home import Home
from federation.agent.loop import Runner
from federation.agent.output import Output
from federation.agent.records import RecordSource
from federation.agent.session import Agent, Surroundings, open_agent
from flxdr.core.keys import Algorithm
from models_ml import synthetic
from models_ml.adapters.writing import write_conn_log
from models_ml.edge_stream import EdgeStream


class Organization:
    """One organisation: `step` does what is due for it now, as `flxdr-agent run --once` does."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        records = RecordSource(agent.config.data, agent.home.folder, agent.key)
        self._runner = Runner(agent, records, pause=time.sleep, once=True)

    @property
    def org_id(self) -> str:
        return self.agent.org_id

    def enrol(self) -> None:
        enrolment.enrol(self.agent, genesis=None, enrolment_token=None)

    def step(self) -> None:
        self._runner.run()


@contextlib.contextmanager
def organizations(
    folder: Path, url: str, count: int, surroundings: Surroundings | None = None
) -> Iterator[Sequence[Organization]]:
    """`count` organisations with generated records, not enrolled yet. They approve every admission."""
    partitions = list(synthetic.generate(7, records=300).items())[:count]
    with contextlib.ExitStack() as stack:
        yield [
            Organization(
                stack.enter_context(
                    open_agent(
                        _home(folder, url, name, partition.train), Output(machine=True), surroundings or Surroundings()
                    )
                )
            )
            for name, partition in partitions
        ]


def _home(folder: Path, url: str, name: str, records: EdgeStream) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    write_conn_log(records, place / "conn.log")
    config = AgentConfig(
        org_id=name,
        name=name.title(),
        coordinator=CoordinatorSection(url=url),
        data=DataSection(paths=(str(place / "conn.log"),)),
        policy=PolicySection(admissions="auto"),
    )
    home, _ = Home.create(place / "agent", config, Algorithm.ED25519)
    return home.folder
