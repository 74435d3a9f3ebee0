"""Tasks: found under the names that services send, and nothing but a service call."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from celery.signals import worker_ready

from federation import tasks
from federation.models import TrainingRound
from federation.services import rounds
from federation.services.queue import ADVANCE_CAMPAIGN, AGGREGATE_ROUND, AGGREGATE_SHARD, enqueue
from flxdr.core.clock import SystemClock
from tests.support.factories import json_update
from tests.support.federation import SimulatedFederation


@pytest.mark.parametrize("name", [AGGREGATE_ROUND, AGGREGATE_SHARD, ADVANCE_CAMPAIGN, tasks.RECONCILE])
def test_they_are_registered(name: str) -> None:
    assert name in current_app.tasks


def test_a_worker_that_starts_reconciles_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(tasks.reconcile, "delay", lambda: sent.append("reconcile"))
    worker_ready.send(sender=None)
    assert sent == ["reconcile"]


@pytest.mark.django_db(transaction=True)
class TestQueue:
    @pytest.fixture(autouse=True)
    def _as_in_a_worker(self) -> None:
        current_app.loader.import_default_modules()

    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()

    def test_the_round_runs_on_its_own_tasks(self, federation: SimulatedFederation, sent_tasks: Any) -> None:
        federation.enrol("org-a", "org-b", algorithm=None)
        started = rounds.start_round(actor="operator", clock=federation.clock)
        for organization in federation.organizations:
            organization.submit(json_update(started.round_id, organization.org_id))
        sent_tasks.run()
        started.refresh_from_db()
        assert started.status == "completed"

    def test_a_lost_message_is_sent_again(self, federation: SimulatedFederation, sent_tasks: Any) -> None:
        federation.enrol("org-a", "org-b", algorithm=None)
        started = rounds.start_round(actor="operator", clock=federation.clock)
        for organization in federation.organizations:
            organization.submit(json_update(started.round_id, organization.org_id))
        sent_tasks.waiting.clear()
        current_app.tasks[tasks.RECONCILE].run()
        sent_tasks.run()
        assert TrainingRound.objects.get().status == "completed"

    def test_a_broker_that_is_down_fails_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def down(*_: Any, **__: Any) -> None:
            raise ConnectionError("broker down")

        monkeypatch.setattr(current_app, "send_task", down)
        enqueue(AGGREGATE_ROUND, round_id="round-1")
