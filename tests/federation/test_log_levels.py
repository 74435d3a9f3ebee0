"""The log's levels are the guide's: INFO rounds and registrations, DEBUG submissions and the steps of an aggregation,
ERROR exhausted budgets and failures of the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
import structlog
from pytest_django import DjangoCaptureOnCommitCallbacks

from federation.services import rounds
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from ledger.services import passes
from privacy.errors import BudgetExhausted
from tests.ledger.members import tamper
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

MODEL = "edge-normaliser"
pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], set[tuple[str, str, str]]]:
    """What was logged so far: logger, level, event."""
    caplog.set_level(logging.DEBUG)

    def read() -> set[tuple[str, str, str]]:
        return {(record.name, record.levelname, _event(record)) for record in caplog.records}

    return read


def _event(record: logging.LogRecord) -> str:
    return str(record.msg["event"] if isinstance(record.msg, dict) else record.getMessage())


def test_a_round(
    clock: ManualClock,
    lines: Callable[[], set[tuple[str, str, str]]],
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    federation = SimulatedFederation(clock)
    with django_capture_on_commit_callbacks(execute=True):
        federation.enrol("org-a", "org-b")
        training_round = rounds.start_round(actor="operator:test", model_name=MODEL, clock=clock)
        federation.submit_all(training_round, constant_delta(shapes_of(MODEL), 1))
        federation.settle()
    assert {
        ("flxdr.audit", "INFO", "organization.registered"),
        ("flxdr.audit", "INFO", "round.started"),
        ("flxdr.audit", "INFO", "round.transition"),
        ("flxdr.audit", "INFO", "block.sealed"),
        ("flxdr.audit", "DEBUG", "submission.accepted"),
        ("flxdr.aggregation", "DEBUG", "claimed"),
        ("flxdr.aggregation", "DEBUG", "combining"),
        ("flxdr.aggregation", "DEBUG", "worked"),
    } <= lines()
    steps = [record.msg for record in caplog.records if record.name == "flxdr.aggregation"]
    assert steps
    assert all(isinstance(step, dict) and step["round_id"] == training_round.round_id for step in steps)
    structlog.contextvars.clear_contextvars()


def test_an_exhausted_budget(
    clock: ManualClock, env: Callable[..., Env], lines: Callable[[], set[tuple[str, str, str]]]
) -> None:
    env(privacy_mode="organization", training_rounds=1)
    federation = SimulatedFederation(clock)
    federation.enrol("org-a", "org-b")
    first = rounds.start_round(actor="operator:test", model_name=MODEL, clock=clock)
    rounds.abort_round(round_id=first.round_id, actor="operator:test", reason="enough", clock=clock)
    assert not [line for line in lines() if line[1] == "ERROR"]
    with pytest.raises(BudgetExhausted):
        rounds.start_round(actor="operator:test", model_name=MODEL, clock=clock)
    assert ("flxdr.privacy", "ERROR", "budget exhausted") in lines()


def test_a_broken_chain(
    clock: ManualClock,
    lines: Callable[[], set[tuple[str, str, str]]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    SimulatedFederation(clock).enrol("org-a", "org-b")
    with django_capture_on_commit_callbacks(execute=True):
        passes.make_overdue_pass(interval=timedelta(hours=1), clock=clock)
    assert ("flxdr.audit", "INFO", "chain.verified") in lines()
    tamper("UPDATE blocks SET header = %s WHERE height = 1", b"nothing")
    clock.advance(timedelta(hours=2))
    with django_capture_on_commit_callbacks(execute=True):
        passes.make_overdue_pass(interval=timedelta(hours=1), clock=clock)
    assert ("flxdr.audit", "ERROR", "chain.verified") in lines()
