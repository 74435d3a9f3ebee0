"""An agent (`org-a`) with three peers, of whom one may drop out, in a masked round of a coordinator that may lie."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

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


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """Whatever is logged from now on by anybody, at every level and past every handler."""
    records: list[logging.LogRecord] = []
    make = logging.getLogRecordFactory()

    def recorded(*arguments: Any, **named: Any) -> logging.LogRecord:
        records.append(make(*arguments, **named))
        return records[-1]

    monkeypatch.setattr(logging.Logger, "isEnabledFor", lambda *_: True)
    monkeypatch.setattr(logging.Logger, "getEffectiveLevel", lambda *_: logging.NOTSET)
    logging.setLogRecordFactory(recorded)
    yield records
    logging.setLogRecordFactory(make)
