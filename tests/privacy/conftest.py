"""Settings with a mechanism (organisation-level unless a test says otherwise), and organisations that hold keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.platform.auth import directory
from privacy import selectors

ALPHA = PrivateKey(Algorithm.ML_DSA_65, bytes(32))
BETA = PrivateKey(Algorithm.ED25519, bytes(range(32)))


class KnownOrganizations:
    """A directory of two organisations with one key each."""

    keys = {"org-alpha": [ALPHA.public], "org-beta": [BETA.public]}

    def look_up(self, org_id: str) -> directory.Record:
        keys = self.keys.get(org_id, [])
        return directory.Record(directory.Standing.ACTIVE if keys else directory.Standing.OTHER, keys)

    def touch(self, org_id: str) -> None:
        """Nobody asks here when an organisation was seen."""


@pytest.fixture
def organizations(monkeypatch: pytest.MonkeyPatch) -> KnownOrganizations:
    known = KnownOrganizations()
    monkeypatch.setattr(directory._Registry, "directory", known)
    return known


@pytest.fixture
def mechanism(env: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Settings whose budget lasts for `rounds` rounds, and the mechanism that does it."""

    def configure(rounds: int = 3, **values: Any) -> dict[str, Any]:
        env(**{"privacy_mode": "organization", "privacy_epsilon": 1.0, "training_rounds": rounds, **values})
        planned = selectors.planned_mechanism(selectors.training_plan())
        assert planned is not None
        return planned.as_mapping()

    return configure
