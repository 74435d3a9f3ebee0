"""The numbers of the simulated incidents: what actions cost and achieve, how attacks grow, how sure a detector is.

They are assumptions, set by judgement and not measured: no public record says what responses did to attacks. The unit
of cost is one hour of an analyst; a step is about a quarter of an hour. What is learnt is as good as these numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models_ml.families import FAMILIES
from models_ml.response.actions import (
    ACTIONS,
    BLOCK_IP,
    CLOSE_BENIGN,
    COLLECT_EVIDENCE,
    ESCALATE,
    ISOLATE_HOST,
    MONITOR,
    QUARANTINE_FILE,
    RESET_CREDENTIALS,
)
from models_ml.response.alerts import HORIZON

Float64 = npt.NDArray[np.float64]

LATE = 4
"""Steps that an attack goes on when its incident was closed, or not contained within the horizon."""
OPEN_COST = 0.05
"""Of every step that an incident stays open."""
CROWN_JEWEL_SHARE = 0.1
CROWN_JEWEL_FACTOR = 3.0
"""On damage to a host that the organisation depends on, and on what an action takes from it."""
DISRUPTION_OF_ATTACKED = 0.4
"""Part of an action's disruption that counts on a host under attack: it would have been cleaned anyway."""
PERSON_SOLVES = 0.4
"""Chance of every step after escalation that the responder ends the incident, whatever it is."""

BENIGN_SHARE = 0.5
"""Of the simulated incidents, where there are benign ones and attacks; attacks are drawn evenly by family."""
TRUST = 0.5
"""Factor on a detector's log-odds: on records that it was trained on it is surer than elsewhere."""
SCORE_NOISE = 1.0
"""Standard deviation of what is added to the log-odds of a score."""
NOVEL_SHARE = 0.2
"""Incidents that the records know nothing like: of any family, with the embedding of some other incident and a guessed
family in the alert. So no organisation learns that there are only the attacks that it met, or none."""
NOVEL_SIGNAL, NOVEL_NOISE = 1.0, 1.5
"""Mean of the log-odds of their scores (below 0 for benign ones), and standard deviation: they tell little."""
EMBEDDING_NOISE = 0.5
"""Noise on an embedding, per root mean square of its own: other hosts are like those of the records, not the same."""
EVIDENCE = 2.5
"""Distance d between attack and benign in collected evidence: it adds log-odds from N(+-d^2/2, d^2), as a likelihood
ratio between two unit Gaussians d apart does."""


def _row(**values: float) -> Float64:
    row = np.zeros(len(ACTIONS))
    for place, name in (
        (MONITOR, "monitor"),
        (COLLECT_EVIDENCE, "evidence"),
        (BLOCK_IP, "block"),
        (ISOLATE_HOST, "isolate"),
        (RESET_CREDENTIALS, "reset"),
        (QUARANTINE_FILE, "quarantine"),
        (ESCALATE, "escalate"),
        (CLOSE_BENIGN, "close"),
    ):
        row[place] = values.pop(name, 0.0)
    if values:
        raise ValueError(f"no actions {', '.join(values)}")
    return row


EFFORT = _row(monitor=0.02, evidence=0.3, block=0.1, isolate=0.2, reset=0.3, quarantine=0.15, escalate=1.5, close=0.05)
"""What an action takes to do."""
DISRUPTION = _row(block=2.0, isolate=6.0, reset=3.0, quarantine=2.0)
"""What an action costs those who did nothing."""

_CONTAINS = {
    "Benign": _row(),
    "C2": _row(block=0.6, isolate=0.9, reset=0.1, quarantine=0.5),
    "DDoS": _row(block=0.35, isolate=0.95, quarantine=0.3),
    "Scan": _row(block=0.85, isolate=0.9),
    "ExternalAttack": _row(block=0.75, isolate=0.85, reset=0.3, quarantine=0.2),
    "FileDownload": _row(block=0.35, isolate=0.85, quarantine=0.8),
    "Exfiltration": _row(block=0.7, isolate=0.95, reset=0.3, quarantine=0.1),
    "BruteForce": _row(block=0.75, isolate=0.6, reset=0.8),
    "LateralMovement": _row(block=0.2, isolate=0.85, reset=0.65, quarantine=0.3),
}
CONTAINS = np.stack([_CONTAINS[family] for family in FAMILIES])
"""Chance that an action ends an attack, (families, actions)."""

_GROWTH = {
    "Benign": (0.0, 1.0),
    "C2": (0.5, 1.2),
    "DDoS": (1.5, 1.05),
    "Scan": (0.15, 1.2),
    "ExternalAttack": (0.5, 1.25),
    "FileDownload": (0.8, 1.25),
    "Exfiltration": (2.0, 1.05),
    "BruteForce": (0.5, 1.3),
    "LateralMovement": (1.0, 1.3),
}
"""Damage of an attack's first step, and the factor from step to step."""
MOST_GROWN = 3.0
"""An attack's damage a step is at most this many times that of its first."""


def _damage() -> Float64:
    steps = np.arange(HORIZON + LATE)
    return np.stack([first * np.minimum(factor**steps, MOST_GROWN) for first, factor in map(_GROWTH.get, FAMILIES)])  # type: ignore[misc]


DAMAGE = _damage()
"""Damage of an attack in every step from the alert on, (families, HORIZON + LATE)."""
DAMAGE_LEFT = np.cumsum(DAMAGE[:, ::-1], axis=1)[:, ::-1]
"""Damage from that step on if nobody looks at it again, the same shape."""
