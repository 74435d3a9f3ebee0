"""Federations for the tests: on the chain that the test database was founded with, and so with its founding key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.apps import apps

from federation.models import TrainingRound
from federation.services import rounds
from flxdr.core.clock import ManualClock
from flxdr.env import Env
from tests.federation import sharded_rounds
from tests.support.federation import SimulatedFederation, SimulatedOrganization


@pytest.fixture
def clock() -> ManualClock:
    """Later than the genesis block, which the machine's clock dated: a chain's time does not run backwards."""
    return ManualClock(datetime(2100, 1, 1, tzinfo=UTC))


@pytest.fixture
def federation(db: None, clock: ManualClock) -> SimulatedFederation:
    """A federation without organisations."""
    return SimulatedFederation(clock)


class Stored:
    """How many rows and files there are, to compare before and after a refusal."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def count(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for label in ("federation", "ledger", "privacy", "platform"):
            for model in apps.get_app_config(label).get_models():
                counts[model.__name__] = model._default_manager.count()
        blobs = self._data_dir / "blobs"
        counts["files"] = sum(path.is_file() for path in blobs.rglob("*")) if blobs.exists() else 0
        return counts


@pytest.fixture
def stored(data_dir: Path) -> Stored:
    return Stored(data_dir)


@pytest.fixture
def pair(federation: SimulatedFederation) -> SimulatedFederation:
    """`org-alpha` with a key, `org-beta` without one, and a round of `global` with both."""
    federation.enrol("org-alpha")
    federation.enrol("org-beta", algorithm=None)
    return federation


@pytest.fixture
def alpha(pair: SimulatedFederation) -> SimulatedOrganization:
    return pair.organizations[0]


@pytest.fixture
def beta(pair: SimulatedFederation) -> SimulatedOrganization:
    return pair.organizations[1]


@pytest.fixture
def opened(pair: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    return rounds.start_round(actor="operator", clock=clock)


@pytest.fixture
def normaliser(pair: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    return rounds.start_round(actor="operator", model_name="edge-normaliser", clock=clock)


@pytest.fixture
def shared(env: Callable[..., Env]) -> None:
    """Workers take a fifth of the model's coordinates at a time."""
    env(aggregation_shard_values=sharded_rounds.WIDTH * sharded_rounds.FEWEST)


@pytest.fixture
def large(shared: None, federation: SimulatedFederation, clock: ManualClock) -> TrainingRound:
    """A round that workers will share; nobody has begun."""
    return sharded_rounds.start(federation, clock)


@pytest.fixture
def trio(federation: SimulatedFederation) -> SimulatedFederation:
    """Three organisations with keys on the chain."""
    federation.enrol("org-alpha", "org-beta", "org-gamma")
    return federation
