"""Groups 2, 5 and 7: a coordinator of its own processes, three agents, and what they come to."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from federation.agent import enrolment
from federation.agent.config import AgentConfig, CoordinatorSection, DataSection, PolicySection
from federation.agent.home import Home
from federation.agent.loop import Runner
from federation.agent.output import Output
from federation.agent.records import RecordSource
from federation.agent.session import Surroundings, open_agent
from flxdr.core.keys import Algorithm
from flxdr.demo.coordinator import OPEN, Operator, SealedBlock
from flxdr.demo.processes import Processes
from flxdr.demo.run import any_port
from flxdr.env import Env
from flxdr.installation.outcome import Broken, require
from flxdr.platform.configuration import variables_of
from ledger.chain.record import ChainRecord
from ledger.chain.verify import verify_chain
from models_ml import synthetic
from models_ml.adapters.writing import write_conn_log
from models_ml.registry import EDGE_NORMALISER

MEMBERS = 3
SECONDS = 120
MANAGE = (sys.executable, str(settings.BASE_DIR / "manage.py"))


@dataclass(frozen=True)
class Coordinator:
    """A coordinator that runs for the checks alone."""

    url: str
    folder: Path
    processes: Processes
    environment: Mapping[str, str]
    operator: Operator

    def wait(self) -> None:
        """Return when it answers."""
        self.processes.wait_for(self.operator.is_up, what=f"{self.url} answers", seconds=SECONDS)

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return _answer(httpx.get(f"{self.url}/api/fl-blockchain/{path}", params=query, timeout=30))

    def post(self, path: str, body: Mapping[str, Any], token: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return _answer(httpx.post(f"{self.url}/api/fl-blockchain/{path}", json=body, headers=headers, timeout=30))

    def records(self) -> list[ChainRecord]:
        return [ChainRecord.from_json(each) for each in self.get("blockchain/ledger/export", limit=100)["records"]]


def _answer(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise Broken(f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:300]}")
    document: dict[str, Any] = response.json()
    return document


@contextlib.contextmanager
def coordinator(folder: Path) -> Iterator[Coordinator]:
    """Start one in `folder`; nothing of it outlives the context, and no setting of this process reaches it."""
    port = any_port()
    ours = {declared.name for declared in variables_of(Env).values()}
    inherited = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in ours}
    environment = {
        **inherited,
        "FL_DATA_DIR": str(folder / "coordinator"),
        "BACKEND_PORT": str(port),
        "OPENBLAS_NUM_THREADS": "1",
    }
    url = f"http://127.0.0.1:{port}"
    with (
        Processes(folder / "logs") as processes,
        contextlib.closing(Operator(url)) as operator,
    ):
        processes.start("coordinator", [*MANAGE, "up", "--web-workers", "1"], environment)
        yield Coordinator(url, folder, processes, environment, operator)


def federation(coordinator: Coordinator) -> str:
    """Three organisations enrol with keys, admit each other, train a model together and seal it."""
    coordinator.wait()
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(_agent(coordinator, name)) for name in list(synthetic.FAMILIES_OF)[:MEMBERS]]

        def together() -> None:
            for agent in agents:
                agent.run()

        def admitted() -> bool:
            together()
            return coordinator.operator.members() == MEMBERS

        coordinator.processes.wait_for(admitted, what=f"{MEMBERS} members are admitted", seconds=SECONDS)
        started = coordinator.operator.start_round(
            model=EDGE_NORMALISER, aggregation_method="FedAvg", min_orgs_required=MEMBERS
        )["round_id"]

        def ended() -> str | None:
            together()
            status = str(coordinator.operator.round_status(started)["status"])
            return None if status in OPEN else status

        status = coordinator.processes.wait_for(ended, what=f"{started} ends", seconds=SECONDS)
        require(status == "completed", f"the round {status}", coordinator.operator.why_failed(started))
    return released(coordinator.operator.blocks(), started)


def released(blocks: Sequence[SealedBlock], round_id: str) -> str:
    """The round's release is sealed, trained and approved by every member and signed by the coordinator."""
    releases = [(block.header.height, block.header.provenance, block.approved_by) for block in blocks]
    found = [each for each in releases if each[1] is not None and each[1].round_id == round_id]
    require(len(found) == 1, f"{len(found)} blocks release {round_id}")
    height, provenance, approved_by = found[0]
    assert provenance is not None
    require(len(provenance.training_orgs) == MEMBERS, "not every member trained", provenance.training_orgs)
    missing = {*provenance.training_orgs, "coordinator"} - approved_by
    require(not missing, "an approval is missing", ", ".join(sorted(missing)))
    return (
        f"{', '.join(provenance.training_orgs)} enrolled, trained {provenance.model_name} v{provenance.model_version} "
        f"and approved block {height}"
    )


@contextlib.contextmanager
def _agent(coordinator: Coordinator, name: str) -> Iterator[Runner]:
    place = coordinator.folder / "organizations" / name
    place.mkdir(parents=True)
    write_conn_log(synthetic.generate(7, records=300)[name].train, place / "conn.log")
    config = AgentConfig(
        org_id=name,
        name=name.title(),
        coordinator=CoordinatorSection(url=coordinator.url),
        data=DataSection(paths=(str(place / "conn.log"),)),
        policy=PolicySection(admissions="auto"),
    )
    home, _ = Home.create(place / "agent", config, Algorithm.ED25519)
    output = Output()
    output.log.quiet = True
    with open_agent(home.folder, output, Surroundings()) as agent:
        enrolment.enrol(agent, genesis=None, enrolment_token=None)
        records = RecordSource(agent.config.data, agent.home.folder, agent.key)
        yield Runner(agent, records, pause=lambda _seconds: None, once=True)


def ledger(coordinator: Coordinator) -> str:
    """The chain verifies offline; after any one byte of any one block is changed it does not, at that height."""
    return tampered(coordinator.records())


def tampered(records: Sequence[ChainRecord]) -> str:
    report = verify_chain(records).report
    require(report.chain_valid, "the chain does not verify", report.first_bad)
    for height, record in enumerate(records):
        header = bytearray(record.header)
        header[len(header) // 2] ^= 1
        changed = [*records[:height], replace(record, header=bytes(header)), *records[height + 1 :]]
        bad = verify_chain(changed).report.first_bad
        require(bad is not None, f"a changed byte in block {height} is not found")
        assert bad is not None
        # What genesis says is its name: a changed one is another chain, of which the next block is none.
        require(bad.height == (height or bad.height) and bad.height <= 1 + height, "found elsewhere", bad)
    return f"{len(records)} blocks verify; one changed byte in any of them is found at its height"
