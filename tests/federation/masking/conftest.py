"""A masked round of five organisations, of whom one may drop out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from flxdr.core.clock import ManualClock
from models_ml import registry
from tests.federation.conftest import Stored
from tests.federation.masking.refusals import Refusals
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound, random_updates
from tests.support.paillier import MODULUS_BITS, PaillierRound

MODEL = "edge-normaliser"
NAMES = ("org-a", "org-b", "org-c", "org-d", "org-e")
StartRound = Callable[..., MaskedRound]
StartPaillier = Callable[..., PaillierRound]


@pytest.fixture
def start(federation: SimulatedFederation, clock: ManualClock) -> StartRound:
    """Enrol the five, and start a round: `start(absent={"org-e": Step.UNMASK}, min_orgs=3)`."""

    def started(**parameters: Any) -> MaskedRound:
        federation.enrol(*NAMES)
        updates = random_updates(NAMES, registry.MODELS[MODEL].schema.size)
        return MaskedRound.start(federation, clock, updates, **({"model_name": MODEL} | parameters))

    return started


@pytest.fixture
def start_paillier(federation: SimulatedFederation, clock: ManualClock, env: Any) -> StartPaillier:
    """Enrol the five, or others, and start a Paillier round: `start_paillier(NAMES[:4], min_orgs=3)`."""

    def started(names: Sequence[str] = NAMES, **parameters: Any) -> PaillierRound:
        env(paillier_modulus_bits=str(MODULUS_BITS))
        federation.enrol(*names)
        parameters = {"model_name": MODEL} | parameters
        updates = random_updates(names, registry.MODELS[parameters["model_name"]].schema.size)
        return PaillierRound.start(federation, clock, updates, **parameters)

    return started


@pytest.fixture
def masked(start: StartRound) -> MaskedRound:
    return start()


@pytest.fixture
def refused(stored: Stored) -> Refusals:
    """`with refused(RosterInvalid, "used twice"): ...`"""
    return Refusals(stored)
