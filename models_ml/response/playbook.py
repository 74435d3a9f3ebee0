"""The deterministic playbook: what a security team would write down, and the yardstick of every policy.

Suspicion below `CLOSING_SCORE` is closed, up to the floor of containment it is looked into; above, the steps of the
alert's family follow in order, as far as the masks allow, and after them the incident goes to a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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
from models_ml.response.alerts import Alerts
from models_ml.response.masks import CONTAINMENT_FLOOR

CLOSING_SCORE = 0.2

STEPS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "Benign": (COLLECT_EVIDENCE, ESCALATE),
        "C2": (BLOCK_IP, COLLECT_EVIDENCE, ISOLATE_HOST, QUARANTINE_FILE, ESCALATE),
        "DDoS": (ISOLATE_HOST, BLOCK_IP, COLLECT_EVIDENCE, ESCALATE),
        "Scan": (BLOCK_IP, COLLECT_EVIDENCE, ISOLATE_HOST, ESCALATE),
        "ExternalAttack": (BLOCK_IP, COLLECT_EVIDENCE, ISOLATE_HOST, RESET_CREDENTIALS, ESCALATE),
        "FileDownload": (QUARANTINE_FILE, COLLECT_EVIDENCE, ISOLATE_HOST, BLOCK_IP, ESCALATE),
        "Exfiltration": (BLOCK_IP, ISOLATE_HOST, COLLECT_EVIDENCE, RESET_CREDENTIALS, ESCALATE),
        "BruteForce": (BLOCK_IP, RESET_CREDENTIALS, COLLECT_EVIDENCE, ESCALATE),
        "LateralMovement": (ISOLATE_HOST, RESET_CREDENTIALS, COLLECT_EVIDENCE, ESCALATE),
    }
)
"""Steps by family, the first that is allowed is next; reversible ones come first wherever they help."""

_UNCERTAIN = (COLLECT_EVIDENCE, ESCALATE)
_QUIET = (CLOSE_BENIGN,)


def _rank(steps: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Of every action its place in `steps`; what is not among them comes after, `monitor` first."""
    rank = np.full(len(ACTIONS), len(ACTIONS) + 1, dtype=np.int64)
    rank[MONITOR] = len(ACTIONS)
    for place, action in enumerate(steps):
        rank[action] = place
    return rank


_RANKS = np.stack([_rank(STEPS[family]) for family in FAMILIES])
_UNCERTAIN_RANK, _QUIET_RANK = _rank(_UNCERTAIN), _rank(_QUIET)


def choose(alerts: Alerts, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Indices (n,) of the actions that the playbook advises among those `allowed` (n, actions)."""
    rank = _RANKS[alerts.family]
    rank = np.where((alerts.score < CONTAINMENT_FLOOR)[:, None], _UNCERTAIN_RANK, rank)
    rank = np.where((alerts.score < CLOSING_SCORE)[:, None], _QUIET_RANK, rank)
    return np.asarray(np.where(allowed, rank, len(ACTIONS) + 2).argmin(axis=1))


def reason(score: float, family: int, action: int) -> str:
    """Why the playbook advises `action`, in words."""
    if score < CLOSING_SCORE:
        return f"playbook: a score of {score:.2f} is below {CLOSING_SCORE:g}, at which an incident is closed"
    if score < CONTAINMENT_FLOOR:
        return f"playbook: a score of {score:.2f} is too low to contain anything; look closer, then ask a person"
    steps = STEPS[FAMILIES[family]]
    if action not in steps:
        return f"playbook: its steps against {FAMILIES[family]} are done or masked; keep watching"
    return f"playbook: step {steps.index(action) + 1} of {len(steps)} against {FAMILIES[family]}"
