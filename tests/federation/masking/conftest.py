"""A masked round of five organisations, of whom one may drop out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flxdr.core.clock import ManualClock
from models_ml import registry
from tests.federation.conftest import Stored
from tests.federation.masking.refusals import Refusals
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound, random_updates

MODEL = "edge-normaliser"
NAMES = ("org-a", "org-b", "org-c", "org-d", "org-e")
StartRound = Callable[..., MaskedRound]


@pytest.fixture
def start(federation: SimulatedFederation, clock: ManualClock) -> StartRound:
    """Enrol the five, and start a round: `start(absent={"org-e": Step.UNMASK}, min_orgs=3)`."""

    def started(**parameters: Any) -> MaskedRound:
        federation.enrol(*NAMES)
        updates = random_updates(NAMES, registry.MODELS[MODEL].schema.size)
        return MaskedRound.start(federation, clock, updates, **({"model_name": MODEL} | parameters))

    return started


@pytest.fixture
def masked(start: StartRound) -> MaskedRound:
    return start()


@pytest.fixture
def refused(stored: Stored) -> Refusals:
    """`with refused(RosterInvalid, "used twice"): ...`"""
    return Refusals(stored)
