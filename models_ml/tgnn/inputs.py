"""What the network reads: of every node event the host's recent past, of every edge the flow itself.

A host has no identity, and which of its flows it began itself is not told: in a capture of one network that gives away
who is inside. Of its past the network sees decayed counts (`memory`), and the mean over its last ten flows of their
features and of cosines of the time since (cosine encoding with fixed frequencies, as in Cong et al., "Do We Really Need
Complicated Model Architectures for Temporal Networks?", ICLR 2023).

`cos(w (t - s)) = cos wt cos ws + sin wt sin ws`, so the mean over a window needs no cosine per pair of flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.edge_stream import EdgeStream
from models_ml.features import FEATURES, LOG_LIMIT, extract
from models_ml.normalisation import normalise
from models_ml.recency import groups_of
from models_ml.tgnn.history import History
from models_ml.tgnn.memory import HALF_LIVES, decay, decayed_sums

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

PERIODS = tuple(10 ** (4.5 * step / 7) for step in range(8))
"""Seconds, from 1 s to about nine hours."""
QUANTITIES = ("flows", "unanswered", "contacts")
MEMORY = len(QUANTITIES) * len(HALF_LIVES)
RECENT = len(FEATURES) + len(PERIODS)
"""Mean features, and time."""
NODE = MEMORY + RECENT
MESSAGE = len(FEATURES) + 2 * len(PERIODS)
MEMORY_LOG_SCALE = 3.0
_GAP = FEATURES.index("contact_gap")
_UNANSWERED = FEATURES.index("bytes_in")


@dataclass(frozen=True)
class Inputs:
    """A stream as the network reads it.

    Attributes:
        edges: (n, features) what a flow shows by itself.
        nodes: (2n, NODE) a host's past at every node event.
        history: the node events in order.
    """

    edges: Float32
    nodes: Float32
    history: History

    def __len__(self) -> int:
        return len(self.edges)


def hosts_of(stream: EdgeStream) -> Int64:
    """One small number per host, by node event: (2n,), sources and destinations by turns."""
    return groups_of(np.column_stack((stream.src, stream.dst)).ravel())


def inputs_of(stream: EdgeStream, normaliser: Mapping[str, Int32] | None = None) -> Inputs:
    """Inputs for a stream whose records stand in order of time for each host.

    Args:
        normaliser: tensors of `edge-normaliser`; without it features stay as they are.
    """
    raw = extract(stream)
    edges = raw if normaliser is None else normalise(raw, normaliser)
    history = History.of(hosts_of(stream))
    order = history.order
    times = np.repeat(stream.t, 2)[order]
    memory, _ = remembered(history, times, weights_of(raw)[order])
    recent = recently(history, times, messages_of(edges, stream.t)[order])
    nodes = np.empty((2 * len(stream), NODE), dtype=np.float32)
    nodes[order, :MEMORY] = memory
    nodes[order, MEMORY:] = recent
    return Inputs(edges=edges, nodes=nodes, history=history)


def weights_of(raw: Float32) -> Float32:
    """What every node event adds to its host's memory: (2n, len(QUANTITIES))."""
    told = np.column_stack((np.ones(len(raw)), raw[:, _UNANSWERED] == 0, raw[:, _GAP] >= np.float32(LOG_LIMIT)))
    return np.repeat(told.astype(np.float32), 2, axis=0)


def messages_of(edges: Float32, times: Float64) -> Float32:
    """What every node event tells its host's later events: (2n, MESSAGE)."""
    angles = 2 * np.pi * np.mod(times[:, None] / np.array(PERIODS), 1.0)
    messages = np.hstack((edges, np.cos(angles), np.sin(angles)), dtype=np.float32, casting="same_kind")
    return np.repeat(messages, 2, axis=0)


def remembered(
    history: History, times: Float64, weights: Float32, carried: Float32 | None = None
) -> tuple[Float32, Float32]:
    """Log-scaled memory before every place (m, MEMORY), and the sums after it (m, quantities, half-lives).

    Args:
        times, weights: by place.
        carried: (m, quantities, half-lives) what first events of a host bring along, decayed to their time.
    """
    gaps = np.full(len(times), np.inf)
    gaps[1:] = np.where(history.rank[1:] > 0, np.diff(times, axis=0), np.inf)
    kept = decay(gaps)
    added = np.repeat(weights[:, :, None], len(HALF_LIVES), axis=2)
    if carried is not None:
        added = added + carried
    after = decayed_sums(added, kept, history.rank)
    before = np.zeros_like(after)
    before[1:] = kept[1:, None, :] * after[:-1]
    if carried is not None:
        before += carried
    scaled = np.asarray(np.log1p(np.maximum(before, 0)) / MEMORY_LOG_SCALE, dtype=np.float32)
    return scaled.reshape(len(times), -1), after


def recently(history: History, times: Float64, messages: Float32) -> Float32:
    """The means over the window before every place: (m, RECENT)."""
    counts = history.window_counts().astype(np.float32)
    means = history.window_sums(messages) / np.maximum(counts, 1)[:, None]
    first, last = len(FEATURES), len(FEATURES) + len(PERIODS)
    angles = 2 * np.pi * np.mod(times[:, None] / np.array(PERIODS), 1.0)
    since = means[:, first:last] * np.cos(angles).astype(np.float32)
    since += means[:, last:] * np.sin(angles).astype(np.float32)
    return np.hstack((means[:, :first], since))
