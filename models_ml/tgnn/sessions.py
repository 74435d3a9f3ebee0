"""Sessions: a source host's flows in one fixed bin of time, each a graph of its own.

The example of record-level privacy. Everything that the network reads of a session's flows (counts of the last minute,
memory, neighbours) comes from the session itself, so a session that is removed changes no other example. What a host
did in other bins, and what others sent to it, is not seen in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import EdgeStream
from models_ml.errors import TooFewFlows
from models_ml.families import UNLABELLED
from models_ml.local_task import Tensors
from models_ml.recency import groups_of
from models_ml.tgnn.history import NEIGHBOURS
from models_ml.tgnn.inputs import Inputs, inputs_of

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

SECONDS = 600.0
"""Length of a bin; bins begin at multiples of it since 1970, whatever the data are."""
MAX_FLOWS = 32
"""Flows of a session; later ones are left out, so that no session costs more than this."""
LENGTHS = (1, 2, 4, 8, 16, 32)
"""Sessions are filled up to the next of these lengths and computed together."""
BLOCK = 1024
"""Flows computed at once, about."""


@dataclass(frozen=True, eq=False)
class Block:
    """Sessions of about the same length, filled up with zeros to `length` flows.

    Attributes:
        edges: (s, length, features).
        nodes: (s, 2 length, NODE) node events, sources and destinations by turns.
        share: (s, 2 length, 2 length) weight of every node event's `h` in the mean that each is told.
        labels: (s, length) families; 0 where `weights` are 0.
        weights: (s, length) 1 / labelled flows of the session, 0 for flows without a label and for filling.
    """

    edges: Float64
    nodes: Float64
    share: Float64
    labels: npt.NDArray[np.integer[Any]]
    weights: Float64


@dataclass(frozen=True, eq=False)
class Sessions:
    """The sessions of a stream that have a labelled flow; their flows stand together, in order of time.

    Attributes:
        inputs: what the network reads of the flows, as if there were nothing but their session.
        labels: (n,) families.
        first, count: (s,) where each session's flows begin, and how many they are.
    """

    inputs: Inputs
    labels: npt.NDArray[np.int8]
    first: Int64
    count: Int64

    def __len__(self) -> int:
        return len(self.first)

    def blocks(self, drawn: npt.NDArray[np.intp]) -> Iterator[Block]:
        """The sessions at `drawn` (indices, each once), in blocks."""
        shortest = 0
        for length in LENGTHS:
            fitting = drawn[(self.count[drawn] > shortest) & (self.count[drawn] <= length)]
            step = max(1, BLOCK // length)
            for start in range(0, len(fitting), step):
                yield self._block(fitting[start : start + step], length)
            shortest = length

    def _block(self, sessions: npt.NDArray[np.intp], length: int) -> Block:
        within = np.arange(length)
        filled = within < self.count[sessions][:, None]
        rows = np.where(filled, self.first[sessions][:, None] + within, 0)
        known = filled & (self.labels[rows] != UNLABELLED)
        events = np.stack((2 * rows, 2 * rows + 1), axis=2).reshape(len(sessions), -1)
        ends_filled = np.repeat(filled, 2, axis=1)
        return Block(
            edges=self.inputs.edges[rows].astype(np.float64) * filled[:, :, None],
            nodes=self.inputs.nodes[events].astype(np.float64) * ends_filled[:, :, None],
            share=self._share(sessions, events, ends_filled),
            labels=np.where(known, self.labels[rows], 0),
            weights=known / np.maximum(known.sum(axis=1, keepdims=True), 1),
        )

    def _share(self, sessions: npt.NDArray[np.intp], events: Int64, filled: npt.NDArray[np.bool_]) -> Float64:
        history = self.inputs.history
        place = history.place[events]
        window = np.where(filled, history.window_counts()[place], 0)
        share = np.zeros((*events.shape, events.shape[1]))
        begin = 2 * self.first[sessions]
        for back in range(1, min(NEIGHBOURS, events.shape[1]) + 1):
            session, event = np.nonzero(window >= back)
            other = (history.order[place[session, event] - back] ^ 1) - begin[session]
            share[session, event, other] += 1 / window[session, event]
        return share


def sessions_of(stream: EdgeStream, normaliser: Tensors | None = None) -> Sessions:
    """Cut a stream into sessions, with features normalised by an `edge-normaliser` where there is one.

    Raises:
        TooFewFlows: no labelled flow.
    """
    ordered = stream.in_time_order()
    session = groups_of(ordered.src, np.floor(ordered.t / SECONDS))
    order = np.argsort(session, kind="stable")
    ordered, session = ordered.select(order), session[order]
    starts = np.flatnonzero(np.diff(session, prepend=-1))
    number = np.arange(len(session)) - np.repeat(starts, np.diff(np.append(starts, len(session))))
    labelled = np.bincount(session, (ordered.family != UNLABELLED) & (number < MAX_FLOWS)) > 0
    kept = (number < MAX_FLOWS) & labelled[session]
    if not kept.any():
        raise TooFewFlows("there are no labelled flow records to train on", expected="at least one")
    ordered, session = ordered.select(kept), session[kept]
    ends = groups_of(np.repeat(session, 2), np.column_stack((ordered.src, ordered.dst)).ravel()).astype(np.uint64)
    first = np.flatnonzero(np.diff(session, prepend=-1))
    return Sessions(
        inputs=inputs_of(replace(ordered, src=ends[0::2], dst=ends[1::2]), normaliser),
        labels=ordered.family,
        first=first,
        count=np.diff(np.append(first, len(session))),
    )
