"""Rounds whose collection has ended, for the tests of what follows."""

from __future__ import annotations

from typing import Any

from federation.models import TrainingRound
from federation.services import rounds
from flxdr.core.clock import ManualClock
from tests.support.federation import SimulatedFederation, constant_delta, shapes_of

MODEL = "edge-classifier"
SHAPES = shapes_of(MODEL)
NAMES = ("org-a", "org-b", "org-c", "org-d", "org-e")


def collected(federation: SimulatedFederation, clock: ManualClock, **parameters: Any) -> TrainingRound:
    """A round of five whose collection has ended; org-e sends an outlier."""
    if not federation.organizations:
        federation.enrol(*NAMES, algorithm=None)
    started = rounds.start_round(actor="operator", model_name=MODEL, clock=clock, **parameters)
    values = {name: 10 * (index + 1) for index, name in enumerate(NAMES[:4])} | {"org-e": 100_000}
    federation.submit_all(started, lambda org_id: constant_delta(SHAPES, values[org_id]))
    started.refresh_from_db()
    assert started.status == "aggregating"
    return started
