"""What a policy is told of an incident, as columns and as one record, and how that becomes a network's input.

No address, name or port enters: hosts are known by the network's embedding, incidents by counts. What the agent knows
when it raises an alert is all that a simulated incident shows as well, so a policy meets in use what it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.families import FAMILIES
from models_ml.response.actions import ACTIONS, index_of

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

EMBEDDING = 128
"""Length of the temporal graph network's embedding of a host."""
HORIZON = 8
"""Actions after which an incident is out of the policy's hands."""
EMBEDDING_SIZE = 0.15
"""Root mean square of an embedding as the policy sees it: small beside the alert, or it learns hosts by heart."""
LOG_ODDS_LIMIT = 6.0
_LOG_SCALE = 8.0
_LOG_LIMIT = 2.8
_COUNTS = 5
CONTEXT = 2 + len(FAMILIES) + _COUNTS + 1
HISTORY = len(ACTIONS) + 1
STATE = EMBEDDING + CONTEXT + HISTORY
"""Length of a policy's input: embedding, context of the alert, actions so far."""


@dataclass(frozen=True)
class AlertContext:
    """One alert, and what has been done about it.

    Attributes:
        score: calibrated probability that the incident is an attack.
        family: index of the family that the alert names.
        flows, destinations, services: how many flows the incident has, and to how many hosts and ports.
        bytes_out: what the source host sent in them.
        duration: seconds between the first and the last of them.
        crown_jewel: the organisation depends on the host.
        past_actions: names of the actions taken so far, oldest first.
    """

    score: float
    family: int
    flows: int
    destinations: int
    services: int
    bytes_out: int
    duration: float
    crown_jewel: bool = False
    past_actions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Alerts:
    """Columns of `AlertContext`, each (n,); `taken` (n, actions) counts the actions so far."""

    score: Float64
    family: Int64
    flows: Int64
    destinations: Int64
    services: Int64
    bytes_out: Int64
    duration: Float64
    crown_jewel: Bools
    taken: Int64

    def __len__(self) -> int:
        return len(self.score)

    @classmethod
    def of(cls, context: AlertContext) -> Alerts:
        """One alert as columns.

        Raises:
            ValueError: a past action of an unknown name, no family of that index, or a score outside [0, 1].
        """
        if not 0 <= context.score <= 1:
            raise ValueError(f"the score must lie in [0, 1], got {context.score}")
        if not 0 <= context.family < len(FAMILIES):
            raise ValueError(f"no family has index {context.family}")
        taken = np.bincount([index_of(name) for name in context.past_actions], minlength=len(ACTIONS))
        return cls(
            score=np.array([context.score]),
            family=np.array([context.family]),
            flows=np.array([context.flows]),
            destinations=np.array([context.destinations]),
            services=np.array([context.services]),
            bytes_out=np.array([context.bytes_out]),
            duration=np.array([context.duration]),
            crown_jewel=np.array([context.crown_jewel]),
            taken=taken[None, :].astype(np.int64),
        )


def observe(embedding: Float32, alerts: Alerts) -> Float32:
    """Inputs of a policy, float32 (n, STATE), of embeddings (n, EMBEDDING) and alerts.

    An embedding is brought to `EMBEDDING_SIZE`, so that its scale, which differs between releases of the network, does
    not matter; values stay within +-3.
    """
    known = np.nan_to_num(embedding)
    size = np.sqrt(np.square(known, dtype=np.float64).mean(axis=1, keepdims=True))
    counts = np.column_stack((alerts.flows, alerts.destinations, alerts.services, alerts.bytes_out, alerts.duration))
    return np.hstack(
        (
            known * (EMBEDDING_SIZE / np.maximum(size, 1e-6)),
            alerts.score[:, None],
            log_odds(alerts.score)[:, None] / LOG_ODDS_LIMIT,
            alerts.family[:, None] == np.arange(len(FAMILIES)),
            np.minimum(np.log1p(np.maximum(counts, 0)) / _LOG_SCALE, _LOG_LIMIT),
            alerts.crown_jewel[:, None],
            alerts.taken > 0,
            alerts.taken.sum(axis=1, keepdims=True) / HORIZON,
        )
    ).astype(np.float32)


def log_odds(score: Float64) -> Float64:
    """`log(p / (1 - p))`, cut off at +-LOG_ODDS_LIMIT."""
    edge = 1 / (1 + np.exp(LOG_ODDS_LIMIT))
    inside = np.clip(score, edge, 1 - edge)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def from_log_odds(value: Float64) -> Float64:
    """The probability of log-odds within +-LOG_ODDS_LIMIT."""
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT))))
