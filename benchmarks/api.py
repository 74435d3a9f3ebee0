"""Load on the API: submissions of 1 MB, the federation's status, the ledger's blocks, against a bare Django view.

The coordinator runs as `manage.py up` runs it; the peer is `benchmarks.bare_site` under the same gunicorn settings. The
two get the same requests, headers included, over keep-alive connections, eight at a time, in turns. A submission has
an ML-DSA-65 token and a signed statement, both made before the time starts. The peer stores the same bodies by SHA-256
and fsync, and answers reads with the bytes that the coordinator answered.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.measure import Row, versions
from benchmarks.organizations import Organization, Request, connection, members, seal
from benchmarks.services import SERVICES, SQLITE, described, services
from benchmarks.stored import seconds_to_store
from flxdr import gunicorn_config
from tests.support.processes import API, REPOSITORY, Coordinator, clean_environment, eventually, free_port

PARAMETERS = 250_000
"""1 MB of int32 values."""
ORGANIZATIONS = 32
ROUNDS = 3
READS = 400
AT_ONCE = 8
WEB_WORKERS = 2
SUBMIT_LIMIT = 0.6
BLOCKS = "blockchain/ledger/blocks?limit=10"
STATUS = "federation/status"


@dataclass
class Load:
    """What a series of requests took."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def add(self, other: Load) -> None:
        self.seconds += other.seconds
        self.latencies += other.latencies

    @property
    def milliseconds(self) -> float:
        """Milliseconds of the clock per request."""
        return 1000 * self.seconds / len(self.latencies)

    def __str__(self) -> str:
        percent = statistics.quantiles(self.latencies, n=100)
        p50, p95, p99 = (1000 * percent[rank - 1] for rank in (50, 95, 99))
        return f"{1000 / self.milliseconds:.0f} requests/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms"


def rows() -> Iterator[Row]:
    """`api.submit.1MB.*`, `api.status.*`, `api.blocks.*`, and what the disk alone takes."""
    for name in SERVICES:
        with (
            tempfile.TemporaryDirectory(prefix="flxdr-bench-") as text,
            services(name, Path(text) / "services") as environment,
        ):
            yield from _measure(Path(text), name, environment)


def _measure(folder: Path, name: str, environment: Mapping[str, str]) -> Iterator[Row]:
    with (
        Coordinator(folder / "data", environment, web_workers=WEB_WORKERS) as coordinator,
        _bare(folder / "bare") as bare,
        members(coordinator.url, ORGANIZATIONS) as organizations,
    ):
        for row, limit_ratio, (ours, peer) in (
            ("submit.1MB", SUBMIT_LIMIT, _submissions(coordinator, bare, organizations)),
            ("status", None, _reads(STATUS, coordinator, bare, organizations, folder / "bare")),
            ("blocks", None, _reads(BLOCKS, coordinator, bare, organizations, folder / "bare")),
        ):
            yield Row(
                name=f"api.{row}.{name}",
                ours=round(ours.milliseconds, 2),
                peer=round(peer.milliseconds, 2),
                ratio=round(peer.milliseconds / ours.milliseconds, 3),
                unit="ms/request",
                limit=None,
                limit_ratio=limit_ratio,
                note=f"{len(ours.latencies)} requests, {AT_ONCE} at a time: {ours}; a bare Django view: {peer}; both "
                f"with {WEB_WORKERS} web processes, the clients on the same two cores; {described(name)}; "
                f"{versions('django', 'djangorestframework', 'gunicorn')}",
            )
        if name == SQLITE:
            yield _disk(folder / "disk")


def _submissions(coordinator: Coordinator, bare: str, organizations: Sequence[Organization]) -> tuple[Load, Load]:
    """Every organisation but the last submits, so that no aggregation runs meanwhile; with the last the round ends."""
    ours, peer = Load(), Load()
    submit, store = f"{coordinator.url}{API}/federation/round/submit-gradient", f"{bare}/store"
    with connection(coordinator.url) as operator:
        for number in range(ROUNDS + 1):
            operator.post("federation/round/start", json={"min_orgs_required": 1}).raise_for_status()
            height = int(operator.get("blockchain/head").raise_for_status().json()["height"])
            *requests, last = _requests(organizations, number)
            load = _load(lambda client, request: _post(client, submit, request), requests)
            organizations[-1].submit(last)
            seal(operator, organizations, height + 1)
            bare_load = _load(lambda client, request: _post(client, store, request), requests)
            if number:
                ours.add(load)
                peer.add(bare_load)
    return ours, peer


def _requests(organizations: Sequence[Organization], seed: int) -> list[Request]:
    rng = np.random.default_rng(seed)
    return [
        organization.prepare({"weights": rng.integers(-1000, 1000, PARAMETERS, dtype=np.int32)})
        for organization in organizations
    ]


def _reads(
    path: str, coordinator: Coordinator, bare: str, organizations: Sequence[Organization], folder: Path
) -> tuple[Load, Load]:
    """The same path again and again, each organisation with a token of its own."""
    url = f"{coordinator.url}{API}/{path}"
    headers = [organization.token() for organization in organizations]
    name = path.partition("?")[0].replace("/", "-")
    (folder / name).write_bytes(httpx.get(url, headers=headers[0], timeout=60).raise_for_status().content)
    requests = list(itertools.islice(itertools.cycle(headers), READS))
    ours, peer = Load(), Load()
    for turn in range(3):
        loads = [_load(lambda client, h: _get(client, url, h), requests),
                 _load(lambda client, h: _get(client, f"{bare}/{name}", h), requests)]  # fmt: skip
        if turn:
            ours.add(loads[0])
            peer.add(loads[1])
    return ours, peer


def _post(client: httpx.Client, url: str, request: Request) -> None:
    client.post(url, content=request.content, headers=request.headers).raise_for_status()


def _get(client: httpx.Client, url: str, headers: dict[str, str]) -> None:
    client.get(url, headers=headers).raise_for_status()


def _load(send: Callable[[httpx.Client, Any], None], requests: Sequence[Any]) -> Load:
    """Send all of them, `AT_ONCE` at a time, over one connection each."""
    local = threading.local()
    clients: list[httpx.Client] = []

    def connect() -> None:
        local.client = httpx.Client(timeout=60, trust_env=False)
        clients.append(local.client)

    def timed(request: Any) -> float:
        start = time.perf_counter()
        send(local.client, request)
        return time.perf_counter() - start

    try:
        with ThreadPoolExecutor(AT_ONCE, initializer=connect) as pool:
            start = time.perf_counter()
            latencies = list(pool.map(timed, requests))
            return Load(time.perf_counter() - start, latencies)
    finally:
        for client in clients:
            client.close()


@contextmanager
def _bare(folder: Path) -> Iterator[str]:
    """The peer, running; its address."""
    folder.mkdir(parents=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = {
        "--bind": f"127.0.0.1:{port}",
        "--workers": WEB_WORKERS,
        "--worker-class": gunicorn_config.worker_class,
        "--threads": gunicorn_config.threads,
        "--keep-alive": gunicorn_config.keepalive,
        "--limit-request-field_size": gunicorn_config.limit_request_field_size,
        "--log-level": gunicorn_config.loglevel,
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "benchmarks.bare_site:application", "--no-control-socket"]
        + [str(part) for option in options.items() for part in option],
        env=clean_environment({"BARE_FOLDER": str(folder), "PYTHONPATH": str(REPOSITORY)}),
        cwd=REPOSITORY,
    )
    try:
        (folder / "ready").write_bytes(b"{}")
        eventually(lambda: _answers(f"{url}/ready"), what="the bare site answers")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _disk(folder: Path) -> Row:
    """The floor: one process, no HTTP."""
    rng = np.random.default_rng(0)
    bodies = [rng.bytes(4 * PARAMETERS) for _ in range(ORGANIZATIONS)]
    milliseconds = statistics.median(1000 * seconds_to_store(bodies, folder) / len(bodies) for _ in range(ROUNDS))
    return Row(
        name="api.submit.1MB.disk",
        ours=round(milliseconds, 2),
        peer=None,
        ratio=None,
        unit="ms/body",
        limit=None,
        limit_ratio=None,
        note="SHA-256 and fsync of bodies of 1 MB by one process, without HTTP: what storing one safely takes at least",
    )
