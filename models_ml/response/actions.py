"""The eight responses to an incident; their order is part of every policy file.

Nothing here is ever carried out: an action is advice, and its approval class says who has to agree before a person
follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Approval(StrEnum):
    """Who agrees before an action is taken."""

    NONE = "none"
    """Only looks, or asks a person."""
    ANALYST = "analyst"
    """Whoever works on the incident."""
    OWNER = "owner"
    """Whoever answers for the host or the account, besides the analyst."""


@dataclass(frozen=True)
class Action:
    """An action and what it means for those whom it meets.

    Attributes:
        disruptive: it takes something away from somebody who may have done nothing.
        reversible: it can be undone without loss.
    """

    name: str
    meaning: str
    disruptive: bool
    reversible: bool
    approval: Approval


ACTIONS = (
    Action("monitor", "keep watching", False, True, Approval.NONE),
    Action("collect_evidence", "take memory, logs and packets of the host", False, True, Approval.NONE),
    Action("block_ip", "block the peer at the edge of the network", True, True, Approval.ANALYST),
    Action("isolate_host", "cut the host off from the network", True, True, Approval.OWNER),
    Action("reset_credentials", "end sessions and change the secrets used on the host", True, False, Approval.OWNER),
    Action("quarantine_file", "move the suspicious file out of reach", True, True, Approval.ANALYST),
    Action("escalate", "hand the incident to an incident responder", False, True, Approval.NONE),
    Action("close_benign", "close the incident as benign", False, False, Approval.ANALYST),
)
NAMES = tuple(action.name for action in ACTIONS)
MONITOR, COLLECT_EVIDENCE, BLOCK_IP, ISOLATE_HOST, RESET_CREDENTIALS, QUARANTINE_FILE, ESCALATE, CLOSE_BENIGN = range(
    len(ACTIONS)
)

DISRUPTIVE: npt.NDArray[np.bool_] = np.array([action.disruptive for action in ACTIONS])
REVERSIBLE: npt.NDArray[np.bool_] = np.array([action.reversible for action in ACTIONS])


def index_of(name: str) -> int:
    """Index of an action by name.

    Raises:
        ValueError: no such action.
    """
    try:
        return NAMES.index(name)
    except ValueError:
        raise ValueError(f"no action {name!r}; the actions are {', '.join(NAMES)}") from None
