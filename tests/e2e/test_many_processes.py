"""Machines that share a database, a queue and a bucket, and no folder: each round ends once, whoever works on it."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from flxdr.core.keys import PrivateKey
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, TGNN
from tests.e2e.federation import Federation
from tests.e2e.organizations import organizations
from tests.e2e.recomputation import recomputed
from tests.support.object_store import ObjectServer
from tests.support.processes import API, REPOSITORY, Coordinator, clean_environment, eventually
from tests.support.services import postgres_database, redis_database

MODELS = (EDGE_NORMALISER, EDGE_CLASSIFIER, TGNN)
ROUNDS = 2
POOL = 8


@dataclass(frozen=True)
class Machines:
    """Two whole coordinators, each with its beat, and a third machine that only works."""

    here: Coordinator
    there: Coordinator
    worker: Path
    working: psutil.Process
    federation: Federation
    bucket: ObjectServer
    database: str

    @property
    def folders(self) -> list[Path]:
        return [self.here.data_dir, self.there.data_dir, self.worker]

    def rows(self, query: str) -> list[Any]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def machines(object_server: ObjectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    folder = tmp_path_factory.mktemp("machines")
    bucket = object_server.another()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(postgres_database(folder / "services"))
        environment = bucket.environment() | {
            "DATABASE_URL": database,
            "REDIS_URL": stack.enter_context(redis_database(folder / "services")),
            "SECRET_KEY": "of-all-machines-in-this-test",
            "PQC_SK_B64": base64.b64encode(PrivateKey.generate().seed).decode(),
            "FL_AGGREGATION_SHARD_VALUES": "8192",  # 512 coordinates a shard
            "FL_DATABASE_POOL": str(POOL),
        }
        here, there = (Coordinator(folder / name, environment) for name in ("here", "there"))
        for coordinator in (here, there):  # the first one migrates
            coordinator.start()
            stack.callback(coordinator.stop)
            coordinator.wait_ready(timeout=180)
        working = stack.enter_context(_worker(folder / "worker", environment))
        members = [
            *stack.enter_context(organizations(folder / "theirs", here.url, 2)),
            stack.enter_context(organizations(folder / "ours", there.url, 3))[2],
        ]
        federation = Federation(here, members)
        for member in members:
            member.enrol()
        eventually(lambda: _admitted(federation), what=f"members\n{here.tail()}", timeout=120, every=0.2)
        yield Machines(here, there, folder / "worker", psutil.Process(working.pid), federation, bucket, database)


@contextlib.contextmanager
def _worker(folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "--app", "flxdr", "worker", "--pool", "threads", "--concurrency", "2"]
    with folder.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle"],
            env=clean_environment({**environment, "FL_DATA_DIR": str(folder)}),
            cwd=REPOSITORY,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=40)


def _admitted(federation: Federation) -> bool:
    for member in federation.members:
        member.step()
    states = [member.agent.state.chain() for member in federation.members]
    return all(state is not None and len(state.keys.members) == len(states) for state in states)


def start_campaign(coordinator: Coordinator, model: str) -> int:
    response = httpx.post(
        f"{coordinator.url}{API}/federation/campaign/start",
        json={"model": model, "rounds": ROUNDS, "aggregation_method": "FedAvg", "min_orgs_required": 3},
        timeout=30,
    )
    assert response.status_code == 200, response.text
    return int(response.json()["id"])


def test_three_campaigns_at_once(machines: Machines) -> None:
    federation = machines.federation
    with ThreadPoolExecutor(len(MODELS)) as pool:
        sites = (machines.here, machines.there, machines.here)
        campaigns = list(pool.map(start_campaign, sites, MODELS))

    def done() -> bool:
        for member in federation.members:
            member.step()
        states = [federation.get(f"federation/campaign/{campaign}")["status"] for campaign in campaigns]
        assert "failed" not in states, machines.rows("SELECT round_id, failure_reason FROM federation_traininground")
        return states == ["completed"] * len(MODELS)

    eventually(done, what=f"the campaigns end\n{machines.here.tail()}", timeout=240, every=0.2)
    rounds = [row[0] for row in machines.rows("SELECT round_id FROM federation_traininground WHERE status='completed'")]
    assert len(rounds) == ROUNDS * len(MODELS)
    assert sorted(federation.releases()) == sorted(rounds)
    proposed = "SELECT count(*) FROM platform_auditevent WHERE kind = 'round.transition' AND data->>'to' = 'verifying'"
    assert machines.rows(proposed) == [(len(rounds),)]
    assert federation.verify_chain()["chain_valid"]

    assert [not list(folder.glob("blobs/*")) for folder in machines.folders] == [True] * 3
    assert [bool(list(folder.glob("cache/files/??/*"))) for folder in machines.folders] == [True] * 3
    connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    processes = 2 * 3 + 1  # web, worker, beat of each coordinator; the worker
    assert machines.rows(connections)[0][0] <= processes * POOL


def test_a_machine_dies_in_the_middle_of_a_shared_round(machines: Machines) -> None:
    federation = machines.federation
    round_id = federation.start_round(EDGE_CLASSIFIER)
    pid = machines.here.pid("worker")
    assert pid is not None
    others = [psutil.Process(pid), machines.working]  # they wait until the one that dies is in the middle of it
    for process in others:
        process.suspend()
    for member in federation.members:
        member.step()
    states = (
        "SELECT shard.status, count(*) FROM federation_aggregationshard AS shard JOIN federation_traininground AS round"
        f" ON round.id = shard.training_round_id WHERE round.round_id = '{round_id}' GROUP BY shard.status"
    )
    eventually(
        lambda: {"waiting", "done"} <= dict(machines.rows(states)).keys(),
        what=f"some shards are done\n{machines.here.tail()}",
        timeout=60,
        every=0.005,
    )
    family = machines.there.processes()
    machines.there.kill("supervisor")
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    assert len(psutil.wait_procs(family, timeout=20)[1]) == 0
    assert federation.status(round_id) == "aggregating"
    for process in others:
        process.resume()
    eventually(lambda: federation.status(round_id) == "verifying", what=machines.here.tail(), timeout=120)
    machines.there.start()
    machines.there.wait_ready()
    assert federation.finish(round_id, timeout=120) == "completed"

    assert federation.releases().count(round_id) == 1
    assert federation.verify_chain()["chain_valid"]
    model_hash = recomputed(machines.here, round_id)
    assert federation.chain()[-1].model_hash == model_hash
    files = {_download(coordinator, model_hash) for coordinator in (machines.here, machines.there)}
    assert len(files) == 1
    eventually(
        lambda: not [key for key in machines.bucket.objects() if key.startswith(f"scratch/{round_id}/")],
        what="the pieces are thrown away",
    )


def _download(coordinator: Coordinator, model_hash: str) -> bytes:
    response = httpx.get(f"{coordinator.url}{API}/federation/model/{model_hash}", timeout=30)
    assert response.status_code == 200, response.text
    return response.content
