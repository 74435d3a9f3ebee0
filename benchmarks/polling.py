"""Hundreds of agents that poll, and what the rest of the coordinator feels of it.

Real web processes on PostgreSQL and Redis; the agents are simulated: each asks `round/current` with `wait`, again when
it is answered, and later when it is told so. Beside them somebody asks for the federation's status, one request after
the other. In the middle a round starts, and every agent should hear of it.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from benchmarks.measure import Row, versions
from tests.support.processes import API, REPOSITORY, clean_environment, free_port
from tests.support.services import postgres_database, redis_database
from tests.support.web import running_web

AGENTS = 300
WEB_PROCESSES = 2
WAIT_SECONDS = 25
SECONDS = 20.0
"""Of measuring, after the agents have settled for `SETTLING_SECONDS`."""
SETTLING_SECONDS = 12.0
STATUS_EVERY = 0.1
LIMIT_STATUS_MS = 100.0
_PREPARE = """
import json
from datetime import timedelta
from federation.models import Organization
from flxdr.platform.auth.tokens import issue_token
from flxdr.platform.identity import coordinator_key
names = [f"org-{number:03}" for number in range(AGENTS)]
Organization.objects.bulk_create(
    Organization(org_id=name, name=name, status=Organization.Status.ACTIVE) for name in names
)
roles = [(name, "organization") for name in names] + [("bench", "operator")]
key, day = coordinator_key(), timedelta(days=1)
print(json.dumps([issue_token(key=key, subject=name, role=role, lifetime=day) for name, role in roles]))
"""


@dataclass
class Seen:
    """What the clients met."""

    answers: Counter[str] = field(default_factory=Counter)
    status_ms: list[float] = field(default_factory=list)
    informed_after: list[float] = field(default_factory=list)


async def ask(port: int, method: str, path: str, token: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = (
            f"{method} {API}/{path} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        answer, _, content = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    first, *lines = answer.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, content


async def agent(port: int, token: str, seen: Seen, rng: random.Random) -> None:
    """Poll as `flxdr-agent` does."""
    await asyncio.sleep(rng.uniform(0, 5))
    informed = False
    while True:
        begun = time.monotonic()
        status, headers, content = await ask(port, "GET", f"federation/round/current?wait={WAIT_SECONDS}", token)
        seen.answers[f"{status}"] += 1
        if status == 200 and json.loads(content)["round"] is not None:
            if not informed:
                seen.informed_after.append(time.monotonic())
            informed = True
            await asyncio.sleep(2)  # training; the simulated agent has nothing to submit
        elif "retry-after" in headers:
            await asyncio.sleep(float(headers["retry-after"]) * rng.uniform(1.0, 1.25))
        elif time.monotonic() - begun < 2:
            await asyncio.sleep(2)


async def prober(port: int, token: str, seen: Seen) -> None:
    while True:
        begun = time.monotonic()
        status, _, content = await ask(port, "GET", "federation/status", token)
        assert status == 200, content
        seen.status_ms.append((time.monotonic() - begun) * 1000)
        await asyncio.sleep(STATUS_EVERY)


@dataclass(frozen=True)
class Measured:
    """What `SECONDS` of polling cost."""

    status_ms: list[float]
    cpu_seconds: float
    transactions: int
    answers: Counter[str]
    informed_seconds: list[float]


async def measure(port: int, tokens: Sequence[str], web: int, database: str, agents: int) -> Measured:
    seen, rng = Seen(), random.Random(1)
    tasks = [asyncio.create_task(agent(port, token, seen, rng)) for token in tokens[:agents]]
    await asyncio.sleep(SETTLING_SECONDS)
    tasks.append(asyncio.create_task(prober(port, tokens[-1], seen)))
    seen.answers.clear()
    cpu, transactions = cpu_seconds(web), count_transactions(database)
    await asyncio.sleep(SECONDS)
    cpu, transactions = cpu_seconds(web) - cpu, count_transactions(database) - transactions
    answers, latencies = Counter(seen.answers), list(seen.status_ms)
    body = json.dumps({"min_orgs_required": 2}).encode()
    begun = time.monotonic()
    status, _, content = await ask(port, "POST", "federation/round/start", tokens[-1], body)
    assert status == 200, content
    while len(seen.informed_after) < agents and time.monotonic() - begun < 60:
        await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return Measured(latencies, cpu, transactions, answers, [at - begun for at in seen.informed_after])


def cpu_seconds(master: int) -> float:
    """Processor time of the web processes so far."""
    processes = [psutil.Process(master), *psutil.Process(master).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def count_transactions(database: str) -> int:
    """Transactions of this database so far: outside of writes each query is one."""
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def run(agents: int) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with postgres_database(folder / "services") as database, redis_database(folder / "services") as queue:
            environment = {"DATABASE_URL": database, "REDIS_URL": queue}
            port = free_port()
            with running_web(folder / "state", environment, binds=[f"127.0.0.1:{port}"], workers=WEB_PROCESSES) as web:
                prepared = subprocess.run(
                    [sys.executable, str(REPOSITORY / "manage.py"), "shell", "--no-imports", "-c", _prepare(agents)],
                    env=clean_environment({"FL_DATA_DIR": str(folder / "state"), **environment}),
                    cwd=REPOSITORY,
                    check=True,
                    capture_output=True,
                    text=True,
                )
                tokens = json.loads(prepared.stdout.splitlines()[-1])
                return asyncio.run(measure(port, tokens, web.pid, database, agents))


def _prepare(agents: int) -> str:
    return _PREPARE.replace("AGENTS", str(agents))


def percentile(values: Sequence[float], share: float) -> float:
    return statistics.quantiles(values, n=100)[round(share * 100) - 1]


def rows() -> list[Row]:
    measured = run(AGENTS)
    note = (
        f"{AGENTS} agents, {WEB_PROCESSES} web processes, PostgreSQL; answers in {SECONDS:g} s: "
        f"{dict(sorted(measured.answers.items()))}; {versions()}"
    )

    def row(name: str, value: float, unit: str, limit: float | None = None) -> Row:
        return Row(f"polling.{name}", round(value, 3), None, None, unit, limit, None, note)

    return [
        row("status_p50", percentile(measured.status_ms, 0.50), "ms"),
        row("status_p99", percentile(measured.status_ms, 0.99), "ms", LIMIT_STATUS_MS),
        row("cpu", measured.cpu_seconds / SECONDS, "cores"),
        row("transactions", measured.transactions / SECONDS, "/s"),
        row("informed_p50", percentile(measured.informed_seconds, 0.50), "s"),
        row("informed_last", max(measured.informed_seconds), "s"),
    ]
