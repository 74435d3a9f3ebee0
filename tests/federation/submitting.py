"""Refused submissions, and the updates of a small model."""

from __future__ import annotations

from typing import Any

import pytest

from federation.services import submissions
from federation.services.received import ReceivedUpdate
from flxdr.core.clock import ManualClock
from flxdr.core.errors import FlxdrError
from tests.federation.conftest import Stored
from tests.support.federation import constant_delta, shapes_of

NORMALISER = "edge-normaliser"


def refused(
    received: ReceivedUpdate, clock: ManualClock, stored: Stored, error: type[FlxdrError], as_org: str | None = None
) -> FlxdrError:
    """The error of a refused submission, after checking that it left no trace."""
    before = stored.count()
    with pytest.raises(error) as caught:
        submissions.submit(principal_org=as_org or received.org_id, received=received, clock=clock)
    assert stored.count() == before
    assert caught.value.expected or caught.value.action
    return caught.value


def normaliser_delta(value: int = 5) -> dict[str, Any]:
    return constant_delta(shapes_of(NORMALISER), value)
