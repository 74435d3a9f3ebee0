"""Incidents from scored flows: what one host did without a long pause, and the alert that it raises.

The flow with the highest attack probability speaks for its incident, as it does when the agent raises an alert: the
score, the family and the host's embedding are those at that flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import EdgeStream
from models_ml.families import BENIGN, FAMILIES, UNLABELLED
from models_ml.metrics import attack_probability
from models_ml.response.actions import ACTIONS
from models_ml.response.alerts import EMBEDDING, Alerts

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

PAUSE = 900.0
"""Seconds without a flow after which a host's next one begins another incident."""
LASTS = 3600.0
"""Seconds after which an incident is cut, however busy the host is."""


@dataclass(frozen=True, eq=False)
class Incidents:
    """Columns of equal length, one entry an incident; no host is named.

    Attributes:
        embedding: (n, EMBEDDING), the source host's at the flow that speaks for the incident.
        score: its attack probability.
        family: index of its most probable family of attack.
        flows, destinations, services: how many flows, and to how many hosts and ports.
        bytes_out: sent by the source host.
        duration: seconds between the starts of the first and the last flow.
        truth: family that most of its attack flows are labelled with, `BENIGN` if all labelled ones are benign,
            `UNLABELLED` if none is labelled.
    """

    embedding: Float32
    score: Float64
    family: Int64
    flows: Int64
    destinations: Int64
    services: Int64
    bytes_out: Int64
    duration: Float64
    truth: Int64

    def __len__(self) -> int:
        return len(self.score)

    def select(self, which: npt.NDArray[Any]) -> Incidents:
        """The incidents that a mask or an index array picks."""
        return Incidents(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def labelled(self) -> Incidents:
        """The incidents of which somebody said what they were."""
        return self.select(self.truth != UNLABELLED)

    def alerts(self) -> Alerts:
        """The alerts that they raise, before any action and with no crown jewel among the hosts."""
        return Alerts(
            score=self.score,
            family=self.family,
            flows=self.flows,
            destinations=self.destinations,
            services=self.services,
            bytes_out=self.bytes_out,
            duration=self.duration,
            crown_jewel=np.zeros(len(self), dtype=np.bool_),
            taken=np.zeros((len(self), len(ACTIONS)), dtype=np.int64),
        )


def incidents(stream: EdgeStream, probabilities: Float32, embedding: Float32) -> Incidents:
    """Group scored flows into incidents, in order of source host and time.

    Args:
        probabilities: (n, families), rows sum to 1.
        embedding: (n, EMBEDDING), of the source host at each flow.

    Raises:
        ValueError: arrays of other lengths than the stream's.
    """
    if probabilities.shape != (len(stream), len(FAMILIES)) or embedding.shape != (len(stream), EMBEDDING):
        raise ValueError(
            f"{len(stream)} flows need probabilities ({len(stream)}, {len(FAMILIES)}) and embeddings "
            f"({len(stream)}, {EMBEDDING}), got {probabilities.shape} and {embedding.shape}"
        )
    order = np.lexsort((stream.t, stream.capture, stream.src))
    flows = stream.select(order)
    incident = _numbered(flows)
    count = int(incident[-1]) + 1 if len(incident) else 0
    scores = attack_probability(probabilities[order])
    first = np.searchsorted(incident, np.arange(count))
    last = np.searchsorted(incident, np.arange(count), side="right") - 1
    highest = np.lexsort((scores, incident))[last]  # sorted by incident, so the last of each has its highest score
    attacks = np.delete(probabilities[order][highest], BENIGN, axis=1)
    named = np.delete(np.arange(len(FAMILIES)), BENIGN)
    return Incidents(
        embedding=embedding[order][highest],
        score=np.clip(scores[highest], 0.0, 1.0),
        family=named[attacks.argmax(axis=1)] if count else np.zeros(0, dtype=np.int64),
        flows=last - first + 1,
        destinations=_distinct(incident, flows.dst, count),
        services=_distinct(incident, flows.port, count),
        bytes_out=np.bincount(incident, weights=flows.bytes_out, minlength=count).astype(np.int64),
        duration=flows.t[last] - flows.t[first],
        truth=_truth(incident, flows.family, count),
    )


def concat(parts: Sequence[Incidents]) -> Incidents:
    """All incidents of `parts`, of which there is at least one."""
    names = [field.name for field in fields(Incidents)]
    return Incidents(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _numbered(flows: EdgeStream) -> Int64:
    """The incident of every flow; `flows` are in order of source, capture and time."""
    if not len(flows):
        return np.zeros(0, dtype=np.int64)
    changed = (np.diff(flows.src) != 0) | (np.diff(flows.capture) != 0) | (np.diff(flows.t) > PAUSE)
    begins = np.concatenate(([True], changed))
    began = flows.t[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    slot = ((flows.t - began) // LASTS).astype(np.int64)
    begins[1:] |= np.diff(slot) != 0
    return np.asarray(np.cumsum(begins) - 1, dtype=np.int64)


def _distinct(incident: Int64, column: npt.NDArray[Any], count: int) -> Int64:
    _, codes = np.unique(column, return_inverse=True)
    pairs = np.unique(incident * (len(column) + 1) + codes)
    return np.bincount(pairs // (len(column) + 1), minlength=count)


def _truth(incident: Int64, family: npt.NDArray[np.int8], count: int) -> Int64:
    known = family != UNLABELLED
    cells = incident[known] * len(FAMILIES) + family[known]
    votes = np.bincount(cells, minlength=count * len(FAMILIES)).reshape(count, len(FAMILIES))
    attacks = votes.copy()
    attacks[:, BENIGN] = 0
    truth = np.where(attacks.any(axis=1), attacks.argmax(axis=1), BENIGN)
    return np.asarray(np.where(votes.any(axis=1), truth, UNLABELLED), dtype=np.int64)
