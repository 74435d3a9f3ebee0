"""What a running coordinator tells: figures of a real round, sums over processes that die, no worker that lives."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psutil
import pytest

from models_ml.registry import EDGE_NORMALISER
from tests.deploy.test_alerts import EXPRESSIONS, OF_PROMETHEUS, TARGET, firing
from tests.e2e.federation import Federation, running
from tests.support.processes import Coordinator, eventually
from tests.support.promql import Scrape, asked, evaluate

NEEDS_MORE = {"flxdr_backup_timestamp_seconds", "flxdr_privacy_rounds_left", "flxdr_training_accuracy"}
"""What this federation does not have: a backup, rounds that cost something, and a model that classifies."""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    folder = tmp_path_factory.mktemp("metrics")
    with (
        Coordinator(folder / "state") as coordinator,
        running(coordinator, folder / "organizations", members=2) as federation,
    ):
        yield federation


def scrape(coordinator: Coordinator) -> Scrape:
    answer = httpx.get(f"{coordinator.url}/metrics", timeout=30).raise_for_status()
    return Scrape.of(f"{answer.text}up 1\n", job="flxdr", instance="here")


def value(found: Scrape, expression: str) -> float:
    (only,) = evaluate(expression, found).values()
    return only


def parts(coordinator: Coordinator) -> dict[str, str]:
    return dict(httpx.get(f"{coordinator.url}/readyz", timeout=30).json()["parts"])


def test_figures_of_a_round(federation: Federation) -> None:
    coordinator = federation.coordinator
    round_id = federation.start_round()
    during = scrape(coordinator)
    assert value(during, 'flxdr_rounds{status="in_progress"}') == 1
    assert federation.finish(round_id) == "completed"
    federation.get("blockchain/ledger/verify")
    reviewed = "flxdr_notifications_reviewed_timestamp_seconds"
    eventually(lambda: evaluate(reviewed, scrape(coordinator)), what="the review has run", timeout=60, every=0.5)
    found = scrape(coordinator)
    assert value(found, f'flxdr_current_round{{model="{EDGE_NORMALISER}"}}') == 1
    assert value(found, "flxdr_block_height") == len(federation.chain()) - 1
    assert value(found, "flxdr_blocks_verified") == len(federation.chain())
    assert value(found, "flxdr_active_orgs") == 2
    assert value(found, 'sum(flxdr_http_request_bytes_total{route=~".*submit-gradient"})') > 500
    aggregations = 'sum(flxdr_tasks_total{task="federation.tasks.aggregate_round",outcome="success"})'
    assert value(found, aggregations) >= 1
    assert {name for name in firing(found) if name != "FlxdrBackupMissing"} == set()

    for where, expression in EXPRESSIONS:
        for series in asked(expression):
            if series.name in OF_PROMETHEUS.keys() | NEEDS_MORE:
                continue
            samples = found.samples.get(series.name) or during.samples.get(series.name)
            assert samples, f"{where}: nothing tells {series.name}"
            labels = {name for each in samples for name, _ in each}
            assert series.labels <= labels | TARGET, f"{where}: {series}"


def test_requests_are_summed_over_web_processes_and_survive_one(federation: Federation) -> None:
    coordinator = federation.coordinator
    counter = 'sum(flxdr_http_requests_total{route="healthz"})'
    url = f"{coordinator.url}/healthz"
    httpx.get(url)
    before = value(scrape(coordinator), counter)
    for _ in range(5):
        httpx.get(url)
    assert value(scrape(coordinator), counter) == before + 5
    master = coordinator.pid("web")
    assert master is not None
    (child,) = psutil.Process(master).children()
    child.kill()
    eventually(lambda: answers(url), what="another web process answers", timeout=60)
    assert value(scrape(coordinator), counter) >= before + 5
    assert value(scrape(coordinator), "sum(flxdr_http_requests_in_progress)") == 1, "this very request"


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_worker_that_hangs_is_missed_and_one_that_is_back_is_seen(federation: Federation) -> None:
    coordinator = federation.coordinator
    eventually(lambda: parts(coordinator)["worker"] == "ready", what="a worker lives")
    pid = coordinator.pid("worker")
    assert pid is not None
    worker = psutil.Process(pid)
    worker.suspend()
    try:
        eventually(lambda: parts(coordinator)["worker"] == "not ready", what="the worker is missed", every=0.5)
        found = scrape(coordinator)
        assert value(found, "flxdr_workers") == 0
        assert "FlxdrNoWorker" in firing(found)
        assert parts(coordinator) == {
            "database": "ready", "broker": "ready", "disk": "ready", "worker": "not ready", "chain": "ready",
        }  # fmt: skip
    finally:
        worker.resume()
    eventually(lambda: parts(coordinator)["worker"] == "ready", what="the worker is back")


def test_what_a_killed_worker_counted_ends_with_it(federation: Federation) -> None:
    coordinator = federation.coordinator
    files = coordinator.data_dir / "run" / "metrics"
    gone = coordinator.kill("worker")
    assert list(files.rglob(f"counter_{gone}.db"))
    eventually(lambda: not list(files.rglob(f"*_{gone}.db")), what="the next worker starts anew", timeout=60)
    runs = "sum(flxdr_tasks_total)"
    eventually(lambda: evaluate(runs, scrape(coordinator)), what="it counts again", timeout=60, every=0.5)
