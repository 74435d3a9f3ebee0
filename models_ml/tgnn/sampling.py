"""Batches of edges with a sample of the flows that their hosts had just before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models_ml.tgnn.inputs import Inputs
from models_ml.tgnn.network import Batch

SAMPLED = 4
"""Neighbours drawn for a node event in training, with replacement (GraphSAGE, Hamilton et al. 2017, section 3.1)."""
FORGOTTEN = 0.3
"""Part of the node events whose host is taken as never seen before: what a network knows of its hosts differs."""


def batch_of(
    inputs: Inputs, rows: npt.NDArray[np.int64], rng: np.random.Generator, forgotten: float = FORGOTTEN
) -> Batch:
    """The batch of the edges at `rows` (b,)."""
    history = inputs.history
    own = np.column_stack((2 * rows, 2 * rows + 1)).ravel()
    place = history.place[own]
    window = np.minimum(history.rank[place], 10)
    known = (window > 0) & (rng.random(len(own), dtype=np.float32) >= forgotten)
    back = 1 + (rng.random((len(own), SAMPLED), dtype=np.float32) * window[:, None]).astype(np.int64)
    earlier = history.order[np.maximum(place[:, None] - np.minimum(back, np.maximum(window, 1)[:, None]), 0)]
    nodes = inputs.nodes[np.concatenate((own, (earlier ^ 1).ravel()))]
    nodes[: len(own)] *= known[:, None]
    return Batch(edges=inputs.edges[rows], nodes=nodes, share=known.astype(np.float32) / SAMPLED)
