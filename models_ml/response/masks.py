"""Hard masks: what may not be advised, whatever a policy or a playbook makes of an incident.

A policy's own confidence is no safety control, so these rules look at the alert and at what was done, never at the
policy. Each is written once, for columns; the reason that a person reads is that of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.response.actions import (
    ACTIONS,
    BLOCK_IP,
    CLOSE_BENIGN,
    COLLECT_EVIDENCE,
    DISRUPTIVE,
    ESCALATE,
    ISOLATE_HOST,
    MONITOR,
    NAMES,
    QUARANTINE_FILE,
    RESET_CREDENTIALS,
    REVERSIBLE,
)
from models_ml.response.alerts import AlertContext, Alerts

Bools = npt.NDArray[np.bool_]

ISOLATION_FLOOR = 0.9
"""Score below which no host is cut off."""
CONTAINMENT_FLOOR = 0.5
"""Score below which nothing else is taken from anybody."""
CLOSING_CEILING = 0.5
"""Score from which on an incident is not closed as benign."""

_EVERY = np.arange(len(ACTIONS))
_DISRUPTIVE = np.flatnonzero(DISRUPTIVE)


@dataclass(frozen=True)
class Rule:
    """A reason that forbids some actions in some situations.

    Attributes:
        actions: indices of the actions that it is about.
        applies: of n alerts, (n, len(actions)) or (n, 1): where the rule forbids.
    """

    reason: str
    actions: tuple[int, ...]
    applies: Callable[[Alerts], Bools]


def _repeated(alerts: Alerts) -> Bools:
    return np.asarray(alerts.taken[:, MONITOR + 1 :] > 0)


def _nothing_softer_yet(alerts: Alerts) -> Bools:
    softer = (REVERSIBLE & DISRUPTIVE) | (_EVERY == COLLECT_EVIDENCE) | (_EVERY == ESCALATE)
    return np.asarray(alerts.taken[:, softer].sum(axis=1, keepdims=True) == 0)


RULES = (
    Rule(
        "the incident is closed",
        tuple(range(MONITOR + 1, len(ACTIONS))),
        lambda alerts: alerts.taken[:, [CLOSE_BENIGN]] > 0,
    ),
    Rule("it has been done", tuple(range(MONITOR + 1, len(ACTIONS))), _repeated),
    Rule(
        "the organisation depends on this host: escalate first",
        tuple(int(action) for action in _DISRUPTIVE),
        lambda alerts: (alerts.crown_jewel & (alerts.taken[:, ESCALATE] == 0))[:, None],
    ),
    Rule(
        f"no host is isolated at a score below {ISOLATION_FLOOR:g}",
        (ISOLATE_HOST,),
        lambda alerts: (alerts.score < ISOLATION_FLOOR)[:, None],
    ),
    Rule(
        f"nothing is taken from anybody at a score below {CONTAINMENT_FLOOR:g}",
        (BLOCK_IP, RESET_CREDENTIALS, QUARANTINE_FILE),
        lambda alerts: (alerts.score < CONTAINMENT_FLOOR)[:, None],
    ),
    Rule(
        "it cannot be undone: collect evidence, contain or escalate first",
        (RESET_CREDENTIALS,),
        _nothing_softer_yet,
    ),
    Rule(
        f"at a score of {CLOSING_CEILING:g} or more an incident is not closed as benign",
        (CLOSE_BENIGN,),
        lambda alerts: (alerts.score >= CLOSING_CEILING)[:, None],
    ),
)
"""In order of weight: the first that applies to an action is the reason that is given. `monitor` is never forbidden."""


def allowed(alerts: Alerts) -> Bools:
    """Which actions may be advised, (n, actions); always at least `monitor`."""
    free = np.ones((len(alerts), len(ACTIONS)), dtype=np.bool_)
    for rule in RULES:
        free[:, rule.actions] &= ~rule.applies(alerts)
    return free


def masked(context: AlertContext) -> Mapping[str, str]:
    """Why an action may not be advised, by the name of every action of which that is so."""
    alerts = Alerts.of(context)
    reasons: dict[str, str] = {}
    for rule in RULES:
        forbidden = np.broadcast_to(rule.applies(alerts), (1, len(rule.actions)))[0]
        for action, applies in zip(rule.actions, forbidden, strict=True):
            if applies:
                reasons.setdefault(NAMES[action], rule.reason)
    return reasons
