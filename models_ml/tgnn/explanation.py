"""Which of two hosts' recent flows drove a score: each is left out in turn, and the network is run again.

Left out means: not in the means over the window, not in the decayed memory, not among the neighbours. The counts of the
last minute in the features of the scored flow stay as they are; so the effects tell what the hosts' past added, and not
what the flow shows by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from models_ml.edge_stream import PROTOCOLS, STATES
from models_ml.families import BENIGN
from models_ml.features import FEATURES
from models_ml.tgnn.history import NEIGHBOURS, History
from models_ml.tgnn.host_state import Events
from models_ml.tgnn.inputs import MEMORY, MEMORY_LOG_SCALE, PERIODS, QUANTITIES
from models_ml.tgnn.memory import HALF_LIVES, decay
from models_ml.tgnn.network import embedding_of, probabilities_of, sage1_of

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Driver:
    """A recent flow of the source or of the destination, and what it did to the score.

    Attributes:
        t: start, seconds since 1970.
        src, dst: pseudonyms.
        role: whose past it is in; `source` where it is in both.
        effect: by how much it raised the log-odds of an attack; negative where it lowered them.
    """

    t: float
    src: int
    dst: int
    port: int
    proto: str
    state: str
    bytes_out: int
    bytes_in: int
    role: Literal["source", "destination"]
    effect: float


@dataclass(frozen=True, eq=False)
class View:
    """What a chunk of n records was scored with; its node events are rows `carried` and later of `history`."""

    history: History
    carried: int
    times: Float64
    edges: Float32
    nodes: Float32
    events: Events


@dataclass(frozen=True, eq=False)
class Scene:
    """A chunk as it was scored: what each node event was told (2n, SAGE1), and its embedding (2n, 128)."""

    view: View
    told: Float32
    embedding: Float32


def drivers_of(parameters: Mapping[str, npt.NDArray[Any]], scene: Scene, row: int) -> tuple[Driver, ...]:
    """The drivers of a record of a chunk, the strongest effect first."""
    ends = (2 * row, 2 * row + 1)
    windows = [_window(scene, end) for end in ends]
    flows = [scene.view.events.flows[window] for window in windows]
    keys = [[flow.tobytes() for flow in part] for part in flows]
    variants: list[tuple[int, int]] = [(place, -1) for place in range(len(windows[0]))]
    for place, key in enumerate(keys[1]):
        if key in keys[0]:
            variants[keys[0].index(key)] = (keys[0].index(key), place)
        else:
            variants.append((-1, place))
    if not variants:
        return ()
    embedding = np.repeat(scene.embedding[None, ends[0] : ends[1] + 1], len(variants) + 1, axis=0)
    for side, end in enumerate(ends):
        left_out = np.array([variant[side] for variant in variants])
        changed = np.flatnonzero(left_out >= 0)
        if len(changed):
            embedding[changed + 1, side] = _without(parameters, scene, end, windows[side], left_out[changed])
    edges = np.repeat(scene.view.edges[row : row + 1], len(embedding), axis=0)
    odds = _log_odds(probabilities_of(parameters, embedding.reshape(-1, embedding.shape[2]), edges))
    drivers = []
    for (source, destination), without in zip(variants, odds[1:], strict=True):
        flow = flows[0][source] if source >= 0 else flows[1][destination]
        drivers.append(
            Driver(
                t=float(flow["t"]),
                src=int(flow["src"]),
                dst=int(flow["dst"]),
                port=int(flow["port"]),
                proto=PROTOCOLS[flow["proto"]],
                state=STATES[flow["state"]],
                bytes_out=int(flow["bytes_out"]),
                bytes_in=int(flow["bytes_in"]),
                role="source" if source >= 0 else "destination",
                effect=float(odds[0] - without),
            )
        )
    return tuple(sorted(drivers, key=lambda driver: -abs(driver.effect)))


def _window(scene: Scene, end: int) -> Int64:
    """Rows of the events before the node event `end`, the most recent first."""
    place = int(scene.view.history.place[scene.view.carried + end])
    count = min(int(scene.view.history.rank[place]), NEIGHBOURS)
    return scene.view.history.order[place - count : place][::-1]


def _without(
    parameters: Mapping[str, npt.NDArray[Any]], scene: Scene, end: int, window: Int64, left_out: Int64
) -> Float32:
    """The embedding (k, 128) of a node event as it would be without each of the events `window[left_out]` (k,)."""
    removed = window[left_out]
    count = len(window)
    rest = max(count - 1, 1)
    nodes = np.repeat(scene.view.nodes[end : end + 1], len(removed), axis=0)
    now = scene.view.times[end]
    sums = np.expm1(nodes[:, :MEMORY] * np.float32(MEMORY_LOG_SCALE)).reshape(-1, len(QUANTITIES), len(HALF_LIVES))
    left = decay(now - scene.view.events.flows["t"][removed])
    sums -= scene.view.events.weights[removed][:, :, None] * left[:, None, :]
    nodes[:, :MEMORY] = np.log1p(np.maximum(sums, 0)).reshape(len(removed), -1) / np.float32(MEMORY_LOG_SCALE)
    width = len(FEATURES)
    messages = scene.view.events.messages[removed]
    nodes[:, MEMORY : MEMORY + width] = (nodes[:, MEMORY : MEMORY + width] * count - messages[:, :width]) / rest
    angles = 2 * np.pi * np.mod(now / np.array(PERIODS), 1.0)
    since = messages[:, width : width + len(PERIODS)] * np.cos(angles).astype(np.float32)
    since += messages[:, width + len(PERIODS) :] * np.sin(angles).astype(np.float32)
    nodes[:, MEMORY + width :] = (nodes[:, MEMORY + width :] * count - since) / rest
    told = (scene.told[end] * count - scene.view.events.others[removed]) / np.float32(rest)
    if count == 1:
        nodes[:, MEMORY : MEMORY + width], nodes[:, MEMORY + width :], told = 0, 0, np.zeros_like(told)
    return np.asarray(embedding_of(parameters, sage1_of(parameters, nodes), told, nodes))


def _log_odds(probabilities: Float32) -> Float64:
    benign = probabilities[:, BENIGN].astype(np.float64)
    attack = np.delete(probabilities, BENIGN, axis=1).sum(axis=1, dtype=np.float64)
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(attack, tiny)) - np.log(np.maximum(benign, tiny)))
