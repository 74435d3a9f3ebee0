"""Scores of a stream that arrives in pieces, with bounded memory.

What hosts did in earlier pieces counts as if all had come at once (`host_state`, `recent_flows`). A record that is
older than what was scored before counts as happening now: its own features stay, its host's past cannot be rewound.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32, check_schema
from models_ml.edge_stream import EdgeStream
from models_ml.families import FAMILIES
from models_ml.features import extract
from models_ml.local_task import NO_BASIS, Basis
from models_ml.normalisation import normalise
from models_ml.perceptron import parameters_of
from models_ml.recent_flows import RecentFlows
from models_ml.registry import EDGE_NORMALISER, MODELS, TGNN
from models_ml.tgnn.explanation import Driver, Scene, View, drivers_of
from models_ml.tgnn.history import NEIGHBOURS, History
from models_ml.tgnn.host_state import FLOW, Events, HostStates
from models_ml.tgnn.inputs import MEMORY, NODE, messages_of, recently, remembered, weights_of
from models_ml.tgnn.memory import decay
from models_ml.tgnn.network import EMBEDDING, embedding_of, probabilities_of, sage1_of

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

MAX_HOSTS = 16_384
"""Hosts remembered, at about 6 kB each."""
CHUNK = 8_192
"""Records that pass the network at once."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What the network says of every record of a piece, in the order of the piece.

    Attributes:
        probabilities: (n, families).
        embedding: (n, 128) of the source host at that flow.
    """

    probabilities: Float32
    embedding: Float32

    def __len__(self) -> int:
        return len(self.probabilities)


class Scorer:
    """Scores pieces of one stream with one model.

    Args:
        tensors: a release of `tgnn`.
        basis: what it builds on; its features are normalised by `edge-normaliser` where that is given.
        max_hosts: how many hosts are remembered; those seen least recently are forgotten first.

    Raises:
        SchemaMismatch: other tensors than those of `tgnn`.
    """

    def __init__(self, tensors: Mapping[str, Int32], basis: Basis = NO_BASIS, *, max_hosts: int = MAX_HOSTS) -> None:
        check_schema(tensors, MODELS[TGNN].schema)
        self._parameters = parameters_of(tensors)
        self._normaliser = basis.get(EDGE_NORMALISER)
        self._recent = RecentFlows()
        self._hosts = HostStates(max_hosts)
        self._now = -np.inf
        self._place = np.empty(0, dtype=np.int64)
        self._scenes: list[Scene] = []

    def score(self, stream: EdgeStream) -> Scored:
        """Score the next piece, any number of records in any order."""
        self._scenes = []
        order = np.argsort(stream.t, kind="stable")
        self._place = np.empty(len(order), dtype=np.int64)
        self._place[order] = np.arange(len(order))
        ordered = stream.select(order)
        ordered = replace(ordered, t=np.maximum(ordered.t, self._now))
        probabilities = np.empty((len(ordered), len(FAMILIES)), dtype=np.float32)
        embedding = np.empty((len(ordered), EMBEDDING), dtype=np.float32)
        if len(ordered):
            self._now = float(ordered.t[-1])
            raw = extract(ordered, self._recent.observe(ordered))
            edges = raw if self._normaliser is None else normalise(raw, self._normaliser)
            parts = [slice(first, first + CHUNK) for first in range(0, len(ordered), CHUNK)]
            # hosts go from chunk to chunk; the layers behind them can follow on another core
            with ThreadPoolExecutor(max_workers=1) as layers:
                running = [
                    layers.submit(self._scene, *self._pass_hosts(ordered.select(part), raw[part], edges[part]))
                    for part in parts
                ]
                for part, run in zip(parts, running, strict=True):
                    scene, probabilities[order[part]] = run.result()
                    embedding[order[part]] = scene.embedding[0::2]
                    self._scenes.append(scene)
        return Scored(probabilities, embedding)

    def explain(self, row: int) -> tuple[Driver, ...]:
        """The recent flows of the two hosts of a row of the last piece, the strongest effect first.

        Raises:
            IndexError: the last piece has no such row.
        """
        scene, within = divmod(int(self._place[row]), CHUNK)
        return drivers_of(self._parameters, self._scenes[scene], within)

    def _scene(self, view: View, sage1: Float32, told: Float32) -> tuple[Scene, Float32]:
        """The second half of the network, for hosts that have been passed."""
        embedding = embedding_of(self._parameters, sage1, told, view.nodes)
        return Scene(view, told, embedding), probabilities_of(self._parameters, embedding, view.edges)

    def _pass_hosts(self, chunk: EdgeStream, raw: Float32, edges: Float32) -> tuple[View, Float32, Float32]:
        """What the hosts of a chunk bring along, `h` of its node events and what they are told; remembers the hosts."""
        ends = np.column_stack((chunk.src, chunk.dst)).ravel()
        hosts, host = np.unique(ends, return_inverse=True)
        slots = self._hosts.slots_of(hosts)
        known = np.flatnonzero(slots >= 0)
        last_seen, memory, owner, earlier = self._hosts.recalled(slots[known])

        fresh = History.of(host)
        times = np.repeat(chunk.t, 2)
        weights = weights_of(raw)
        first_place = np.flatnonzero(fresh.rank == 0)
        brought = np.zeros((len(ends), *memory.shape[1:]), dtype=np.float32)
        brought[first_place[known]] = memory * decay(times[fresh.order][first_place[known]] - last_seen)[:, None, :]
        before, after = remembered(fresh, times[fresh.order], weights[fresh.order], brought)

        # carried events come first, so a stable sort by host keeps order of time
        history = History.of(np.concatenate((known[owner], host)))
        carried = len(owner)
        messages = messages_of(edges, chunk.t)
        now = np.concatenate((np.zeros(carried), times))[history.order]
        recent = recently(history, now, np.concatenate((earlier.messages, messages))[history.order])
        nodes = np.empty((len(ends), NODE), dtype=np.float32)
        nodes[fresh.order, :MEMORY] = before
        own = history.order >= carried
        nodes[history.order[own] - carried, MEMORY:] = recent[own]

        sage1 = sage1_of(self._parameters, nodes)
        others = sage1.reshape(-1, 2, sage1.shape[1])[:, ::-1].reshape(sage1.shape)
        events = earlier.then(Events(messages, weights, others, _flows_of(chunk)))
        told_at = history.window_sums(events.others[history.order])
        told_at /= np.maximum(history.window_counts(), 1).astype(np.float32)[:, None]
        told = np.empty_like(sage1)
        told[history.order[own] - carried] = told_at[own]

        ends_at = np.append(first_place[1:], len(ends)) - 1
        owner, number, rows = _last_of_each(history, np.concatenate((known[owner], host)), len(hosts))
        self._hosts.keep(
            hosts,
            last_seen=times[fresh.order[ends_at]],
            memory=after[ends_at],
            owner=owner,
            number=number,
            last=events.at(rows),
        )
        return View(history, carried, times, edges, nodes, events), sage1, told


def _last_of_each(history: History, host: Int64, hosts: int) -> tuple[Int64, Int64, Int64]:
    """The last events of every host: which host, which number among those (oldest first), and which row."""
    owner = host[history.order]
    number = history.rank - np.maximum(np.bincount(host, minlength=hosts) - NEIGHBOURS, 0)[owner]
    last = number >= 0
    return owner[last], number[last], history.order[last]


def _flows_of(chunk: EdgeStream) -> npt.NDArray[np.void]:
    flows = np.zeros(len(chunk), dtype=FLOW)
    for name in FLOW.names or ():
        flows[name] = getattr(chunk, name)
    return np.repeat(flows, 2)
