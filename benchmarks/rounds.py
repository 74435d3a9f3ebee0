"""Rounds against a running coordinator, real processes over HTTP.

`round.latency`: from the last submission to the sealed block, five organisations with keys and 80,000 parameters, on
the embedded default. The time starts when the last organisation begins to send its update and ends when the round reads
as completed, so it holds the upload, its checks, the aggregation, the proposal, the votes and the seal.

`round.throughput`: whole rounds of fifty organisations, one after the other: start, fifty signed submissions, the
aggregation, the votes of a quorum, the seal. The peer is what must reach the disk anyway: SHA-256 and fsync of the same
fifty bodies, by one process.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.measure import Row, versions
from benchmarks.organizations import Organization, Request, Voter, connection, members, seal
from benchmarks.services import SERVICES, described, services
from benchmarks.stored import seconds_to_store
from tests.support.processes import Coordinator, eventually

PARAMETERS = 80_000
LATENCY_ORGANIZATIONS, LATENCY_ROUNDS = 5, 9
LIMIT_SECONDS = 1.0
CROWD, CROWD_ROUNDS = 50, 5
SENDERS = 8
ENDED = ("completed", "failed")


def rows() -> Iterator[Row]:
    """`round.latency.5x80k` and `round.throughput.50x80k.*`."""
    yield _latency()
    for name in SERVICES:
        yield _throughput(name)


def _latency() -> Row:
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder, Coordinator(Path(folder) / "data") as running:
        seconds = _latencies(running.url)
    return Row(
        name="round.latency.5x80k",
        ours=round(statistics.median(seconds), 3),
        peer=None,
        ratio=None,
        unit="s",
        limit=LIMIT_SECONDS,
        limit_ratio=None,
        note=f"median of {len(seconds)} rounds ({min(seconds):.2f} to {max(seconds):.2f} s), {LATENCY_ORGANIZATIONS} "
        f"organizations, {PARAMETERS} parameters, `manage.py up` on SQLite and files; votes by an automatic "
        f"client that checks nothing; {versions('django', 'celery', 'gunicorn')}",
    )


def _latencies(url: str) -> list[float]:
    with connection(url) as operator, members(url, LATENCY_ORGANIZATIONS) as organizations, ExitStack() as stack:
        for organization in organizations:
            stack.callback(Voter(url, organization).stop)
        return [_last_submission_to_seal(operator, organizations, seed) for seed in range(LATENCY_ROUNDS + 1)][1:]


def _last_submission_to_seal(operator: httpx.Client, organizations: Sequence[Organization], seed: int) -> float:
    round_id = _start(operator, organizations)
    requests = _requests(organizations, seed)
    for organization, request in zip(organizations[:-1], requests[:-1], strict=True):
        organization.submit(request)
    start = time.perf_counter()
    organizations[-1].submit(requests[-1])
    _require_completed(operator, round_id)
    return time.perf_counter() - start


def _throughput(name: str) -> Row:
    with (
        tempfile.TemporaryDirectory(prefix="flxdr-bench-") as text,
        services(name, Path(text) / "services") as environment,
    ):
        folder = Path(text)
        ours, peer = _crowd_seconds(folder, environment)
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return Row(
        name=f"round.throughput.50x80k.{name}",
        ours=round(mine, 3),
        peer=round(theirs, 3),
        ratio=round(theirs / mine, 3),
        unit="s/round",
        limit=None,
        limit_ratio=None,
        note=f"{1 / mine:.2f} rounds/s: median of {len(ours)} whole rounds ({min(ours):.2f} to {max(ours):.2f} s) of "
        f"{CROWD} organizations with keys, {PARAMETERS} parameters, {SENDERS} sending at once, votes until the quorum, "
        f"{described(name)}; the clients sign on the same two cores; the peer is SHA-256 and fsync of the same "
        f"{CROWD} bodies alone; {versions('django', 'celery', 'gunicorn')}",
    )


def _crowd_seconds(folder: Path, environment: Mapping[str, str]) -> tuple[list[float], list[float]]:
    """Seconds of whole rounds, and of storing the same bodies, in turns."""
    ours, peer = [], []
    with (
        Coordinator(folder / "data", environment) as running,
        connection(running.url) as operator,
        members(running.url, CROWD) as organizations,
        ThreadPoolExecutor(SENDERS) as senders,
    ):
        for seed in range(CROWD_ROUNDS + 1):
            start = time.perf_counter()
            round_id = _start(operator, organizations)
            height = operator.get("blockchain/head").raise_for_status().json()["height"]
            requests = _requests(organizations, seed)
            list(senders.map(Organization.submit, organizations, requests))
            seal(operator, organizations, height + 1)
            _require_completed(operator, round_id)
            ours.append(time.perf_counter() - start)
            peer.append(seconds_to_store([request.content for request in requests], folder / "peer"))
    return ours[1:], peer[1:]


def _start(operator: httpx.Client, organizations: Sequence[Organization]) -> str:
    started = operator.post("federation/round/start", json={"min_orgs_required": len(organizations)})
    return str(started.raise_for_status().json()["round_id"])


def _requests(organizations: Sequence[Organization], seed: int) -> list[Request]:
    rng = np.random.default_rng(seed)
    return [
        organization.prepare({"weights": rng.integers(-1000, 1000, PARAMETERS, dtype=np.int32)})
        for organization in organizations
    ]


def _require_completed(operator: httpx.Client, round_id: str) -> None:
    def ended() -> dict[str, Any] | None:
        answer: dict[str, Any] = operator.get(f"federation/round/{round_id}/status").raise_for_status().json()
        return answer if answer["status"] in ENDED else None

    answer = eventually(ended, what=f"{round_id} ends", timeout=120, every=0.01)
    if answer["status"] != "completed":
        raise RuntimeError(f"the round failed: {answer['failure_code']}: {answer['failure_reason']}")
