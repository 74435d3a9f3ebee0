"""What an organisation gets of it: its own agent's alerts on flows that no model was trained on, each with advice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flxdr.demo.federation import AGENT, Environment
from flxdr.demo.processes import run

Alert = Mapping[str, Any]


@dataclass(frozen=True)
class Detections:
    """One organisation's alerts, the highest score first."""

    organization: str
    alerts: Sequence[Alert]

    @property
    def by_family(self) -> dict[str, int]:
        """How many alerts name each family."""
        counts: dict[str, int] = {}
        for alert in self.alerts:
            counts[alert["family"]] = counts.get(alert["family"], 0) + 1
        return counts


def detect(organization: str, home: Path, flows: Path, environment: Environment) -> Detections:
    """Run the organisation's `flxdr-agent detect` on a file of flows."""
    lines = run([AGENT, "detect", str(flows), "--home", str(home), "--output", "jsonl"], environment).splitlines()
    alerts = [json.loads(line) for line in lines if line.startswith("{")]
    return Detections(organization, sorted(alerts, key=lambda alert: -alert["score"]))


def strongest(detections: Detections) -> list[Alert]:
    """The highest-scored alert of every family."""
    first: dict[str, Alert] = {}
    for alert in detections.alerts:
        first.setdefault(alert["family"], alert)
    return list(first.values())
