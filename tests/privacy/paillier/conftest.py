"""One small key for all: its size changes no property that is tested."""

from __future__ import annotations

import pytest

from privacy.paillier.keys import PrivateKey

BITS = 1024


@pytest.fixture(scope="session")
def private() -> PrivateKey:
    return PrivateKey.generate(BITS, allow_small=True)
