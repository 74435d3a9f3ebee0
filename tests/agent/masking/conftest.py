"""An agent (`org-a`) with three peers, of whom one may drop out, in a masked round of a coordinator that may lie."""

from __future__ import annotations

import pytest

from flxdr.core.keys import Algorithm, PrivateKey
from tests.agent.conftest import Bench
from tests.agent.masking.masking_coordinator import MaskingCoordinator


@pytest.fixture
def four(bench: Bench) -> Bench:
    """`org-a`, `org-b`, `org-c` and `org-d` on the chain."""
    for name in ("org-c", "org-d"):
        bench.coordinator.admit(name, PrivateKey.generate(Algorithm.ED25519))
    return bench


@pytest.fixture
def masking(four: Bench) -> MaskingCoordinator:
    return MaskingCoordinator.start(four)
