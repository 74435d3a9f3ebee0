"""Alerts on standard output: JSON lines or a table (`stix_writing` has the third form)."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import orjson
from rich.console import Console

from federation.agent.detection.alerts import Alert, services_of
from federation.agent.output import table
from flxdr.core.terminal import printable

PIPED_WIDTH = 160
COLUMNS = ("id", "last seen", "host", "family", "technique", "score", "flows", "to", "services", "response", "approval")


class Form(StrEnum):
    """How alerts are written."""

    JSONL = "jsonl"
    TABLE = "table"
    STIX = "stix"


class Writer(Protocol):
    """Takes alerts as they come; `close` says that there are no more."""

    def write(self, alerts: Sequence[Alert]) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One alert a line."""

    def write(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            sys.stdout.write(orjson.dumps(alert).decode() + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing waits."""


class Table:
    """Alerts as a table: the highest score first at the end of a file, or as they come."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once
        self._alerts: list[Alert] = []

    def write(self, alerts: Sequence[Alert]) -> None:
        self._alerts += alerts
        if self._at_once:
            self._show()

    def close(self) -> None:
        if not self._at_once:
            self._alerts.sort(key=lambda alert: -alert["score"])
        self._show()

    def _show(self) -> None:
        if not self._alerts:
            return
        console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
        console.print(table("", COLUMNS, [_row(alert) for alert in self._alerts]))
        for alert in self._alerts:
            for sentence in alert.get("explanation", ()):
                console.print(printable(f"{alert['id'][:8]}: {sentence}"), markup=False)
        self._alerts = []


def _row(alert: Mapping[str, Any]) -> tuple[object, ...]:
    host, advice = alert["host"], alert["recommendation"]
    return (
        alert["id"][:8],
        alert["last_seen"][:19],
        host.get("address", host["pseudonym"]),
        alert["family"],
        alert["technique"]["id"],
        f"{alert['score']:.3f}",
        alert["flows"],
        alert["destinations"],
        " ".join(services_of(alert)),
        advice["action"],
        advice["approval"],
    )
