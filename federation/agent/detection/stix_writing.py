"""Alerts as STIX 2.1. A room of its own, because importing the library takes as long as a short command."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from federation.agent.detection.alerts import OPEN, Alert, services_of
from federation.detections import stix
from federation.detections.reports import Report, SeenFlow


class Stix:
    """A bundle: one for a file; while a log is followed, one a line for what has just ended."""

    def __init__(self, *, org_id: str, org_name: str, scope: str, at_once: bool) -> None:
        self._org_id, self._org_name, self._scope = org_id, org_name, scope
        self._at_once = at_once
        self._alerts: list[Alert] = []

    def write(self, alerts: Sequence[Alert]) -> None:
        # An object that is told twice must be the same; an open alert is not finished.
        self._alerts += [alert for alert in alerts if alert["status"] != OPEN]
        if self._at_once and self._alerts:
            self._tell()

    def close(self) -> None:
        if not self._at_once or self._alerts:
            self._tell()

    def _tell(self) -> None:
        reports = [report_of(alert, self._org_id, self._org_name) for alert in self._alerts]
        sys.stdout.write(stix.bundle(reports, scope=self._scope) + "\n")
        sys.stdout.flush()
        self._alerts = []


def report_of(alert: Mapping[str, Any], org_id: str, org_name: str) -> Report:
    """An alert as a bundle tells it; flows only where their addresses are known."""
    advice, model = alert["recommendation"], alert["model"]
    reason = advice["reason"] + "".join(f"\n{name} is masked: {why}" for name, why in advice["masked"].items())
    return Report(
        alert_id=alert["id"],
        org_id=org_id,
        org_name=org_name,
        family=alert["family"],
        score=alert["score"],
        flows=alert["flows"],
        destinations=alert["destinations"],
        services=services_of(alert),
        first_seen=_time(alert["first_seen"]),
        last_seen=_time(alert["last_seen"]),
        reported_at=_time(alert["raised_at"]),
        model_name=model["name"],
        model_hash=model["hash"],
        block_height=model["block_height"],
        recommendation=advice["action"],
        reason="\n".join([reason, *alert.get("explanation", ())]),
        host=alert["host"]["pseudonym"],
        observed=[flow for flow in map(_seen, alert["edges"]) if flow is not None],
    )


def _seen(edge: Mapping[str, Any]) -> SeenFlow | None:
    source, destination = edge["src"].get("address"), edge["dst"].get("address")
    if source is None or destination is None:
        return None
    protocol, _, port = edge["service"].partition("/")
    return SeenFlow(
        time=_time(edge["time"]),
        source=source,
        destination=destination,
        protocol=protocol,
        port=int(port),
        bytes_out=edge["bytes_out"],
        bytes_in=edge["bytes_in"],
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
