"""The figures say what really happened: a federation with a release, a round that somebody missed, and a budget."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from federation.models import TrainingRound
from federation.services import rounds
from flxdr.core.clock import ManualClock, SystemClock
from flxdr.env import Env
from flxdr.platform import heartbeat
from flxdr.platform.audit import record_event
from flxdr.platform.metrics.figures import sources
from ledger.services import passes
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

MODEL = "edge-normaliser"
pytestmark = pytest.mark.django_db


def read(name: str) -> dict[tuple[str, ...], float]:
    """The samples of a source, by name and values of labels."""
    (source,) = [source for source in sources() if source.name == name]
    return {(sample.figure.name, *sample.labels): float(sample.value) for sample in source.read()}


@pytest.fixture
def clock() -> ManualClock:
    """Ages are told by the machine's own clock, so the federation lives by a clock that begins now."""
    return ManualClock(SystemClock().now())


@pytest.fixture
def federation(clock: ManualClock) -> SimulatedFederation:
    """Three members that have released one model."""
    federation = SimulatedFederation(clock)
    federation.enrol("org-a", "org-b", "org-c")
    run_round(federation)
    return federation


def run_round(federation: SimulatedFederation, value: int = 2**20) -> TrainingRound:
    training_round = rounds.start_round(
        actor="operator:test", model_name=MODEL, aggregation_method="FedAvg", clock=federation.clock
    )
    metrics = {"accuracy": 0.75, "loss": 0.5, "sanitization_rate": 0.5}
    for organization in federation.organizations:
        organization.submit_delta(training_round, constant_delta(shapes_of(MODEL), value), metrics=metrics)
    federation.settle()
    training_round.refresh_from_db()
    assert training_round.status == "completed"
    return training_round


def test_progress_of_a_released_round(federation: SimulatedFederation) -> None:
    found = read("federation")
    made = TrainingRound.objects.get()
    assert found["flxdr_current_round", MODEL] == 1
    assert found["flxdr_rounds", "completed"] == 1
    assert found["flxdr_global_model_version", MODEL] == 1
    assert found["flxdr_training_accuracy", MODEL] == 0.75
    assert found["flxdr_sanitization_rate", MODEL] == 0.5
    assert found["flxdr_org_failure_rate", MODEL] == 0
    assert found["flxdr_convergence_metric", MODEL] == made.convergence_metric
    # Equal updates: their mean's norm is the norm of each.
    assert found["flxdr_gradient_norm", MODEL] == pytest.approx(made.convergence_metric)
    assert (found["flxdr_total_orgs",], found["flxdr_active_orgs",]) == (3, 3)
    assert ("flxdr_open_round_age_seconds", MODEL, "in_progress") not in found


def test_an_open_round_and_its_deadline(federation: SimulatedFederation, clock: ManualClock) -> None:
    begun = clock.now() - timedelta(seconds=1000)
    rounds.start_round(actor="operator:test", model_name=MODEL, clock=ManualClock(begun))
    found = read("federation")
    assert found["flxdr_current_round", MODEL] == 2
    assert found["flxdr_rounds", "in_progress"] == 1
    assert found["flxdr_open_round_age_seconds", MODEL, "in_progress"] == pytest.approx(1000, abs=30)
    assert found["flxdr_open_round_overdue_seconds", MODEL] == pytest.approx(400, abs=30), "600 s to submit"


def test_organisations_that_missed_a_round(federation: SimulatedFederation, clock: ManualClock) -> None:
    missed = rounds.start_round(actor="operator:test", model_name=MODEL, min_orgs=2, clock=clock)
    federation.organizations[0].submit_delta(missed, constant_delta(shapes_of(MODEL), 1))
    clock.advance(timedelta(seconds=601))
    rounds.close_collection(round_id=missed.round_id, clock=clock)
    found = read("federation")
    assert found["flxdr_rounds", "failed"] == 1
    assert found["flxdr_org_failure_rate", MODEL] == pytest.approx(2 / 3)
    assert found["flxdr_global_model_version", MODEL] == 1, "the release before it stands"


def test_the_ledger_before_and_after_a_verification(federation: SimulatedFederation, clock: ManualClock) -> None:
    before = read("ledger")
    assert before["flxdr_block_height",] >= 4
    assert ("flxdr_chain_valid",) not in before, "nobody has verified it yet"
    passes.make_overdue_pass(interval=timedelta(hours=1), clock=clock)
    after = read("ledger")
    assert after["flxdr_chain_valid",] == 1
    assert after["flxdr_blocks_verified",] == after["flxdr_block_height",] + 1
    assert after["flxdr_chain_verified_timestamp_seconds",] == pytest.approx(clock.now().timestamp(), abs=1)
    assert (after["flxdr_proposals", "open"], after["flxdr_proposals", "queued"]) == (0, 0)


def test_the_budget_of_who_has_spent_most(clock: ManualClock, env: Callable[..., Env]) -> None:
    env(privacy_mode="organization", privacy_epsilon=2.0, training_rounds=3)
    federation = SimulatedFederation(clock)
    federation.enrol("org-a", "org-b")
    unspent = read("privacy")
    assert (unspent["flxdr_privacy_epsilon_total",], unspent["flxdr_privacy_epsilon_used",]) == (2, 0)
    rounds.start_round(actor="operator:test", model_name=MODEL, clock=clock)
    found = read("privacy")
    assert 0 < found["flxdr_privacy_epsilon_used",] < 2
    assert found["flxdr_privacy_epsilon_used",] + found["flxdr_privacy_epsilon_remaining",] == pytest.approx(2)
    assert found["flxdr_privacy_organizations_charged",] == 2
    assert found["flxdr_privacy_rounds_left",] == 2
    assert found["flxdr_privacy_organizations_short",] == 2


def test_rounds_that_cost_nothing_have_no_end(env: Callable[..., Env]) -> None:
    env(privacy_mode="none")
    assert ("flxdr_privacy_rounds_left",) not in read("privacy")


def test_workers_and_outbox(federation: SimulatedFederation) -> None:
    now = SystemClock().now()
    heartbeat.beat("one", clock=ManualClock(now - timedelta(seconds=100)))
    found = read("platform")
    assert found["flxdr_workers",] == 0
    assert found["flxdr_worker_heartbeat_age_seconds",] == pytest.approx(100, abs=30)
    heartbeat.beat("two")
    assert read("platform")["flxdr_workers",] == 1
    assert found["flxdr_outbox_waiting",] > 3
    assert found["flxdr_outbox_oldest_age_seconds",] >= 0


def test_the_last_backup(federation: SimulatedFederation) -> None:
    now = SystemClock().now()
    assert read("backup") == {}
    for age in (timedelta(days=2), timedelta(0)):
        clock = ManualClock(now - age)
        record_event(kind="backup.made", actor="operator:test", subject="backup", data={}, clock=clock)
    assert read("backup")["flxdr_backup_timestamp_seconds",] == pytest.approx(now.timestamp(), abs=1)


def test_a_scrape_asks_a_bounded_number_of_queries(federation: SimulatedFederation) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            for source in sources():
                list(source.read())
        return len(asked)

    few = queries()
    for value in (2, 3):
        run_round(federation, value)
    assert queries() == few <= 40
