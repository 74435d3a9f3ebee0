"""What is told of a detection as STIX. Apart from the library that writes it: importing that takes as long as a short
command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

MEDIA_TYPE = "application/stix+json;version=2.1"


@dataclass(frozen=True)
class SeenFlow:
    """A flow with its addresses, for the organisation's own use."""

    time: datetime
    source: str
    destination: str
    protocol: str
    port: int
    bytes_out: int
    bytes_in: int


@dataclass(frozen=True)
class Report:
    """A detection as a bundle tells it; `host` and `observed` are left empty in what leaves the organisation."""

    alert_id: str
    org_id: str
    org_name: str
    family: str
    score: float
    flows: int
    destinations: int
    services: Sequence[str]
    first_seen: datetime
    last_seen: datetime
    reported_at: datetime
    model_name: str
    model_hash: str
    block_height: int | None
    recommendation: str
    reason: str
    host: str | None = None
    observed: Sequence[SeenFlow] = ()
