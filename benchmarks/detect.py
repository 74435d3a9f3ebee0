"""Scores of a stream in batch: features, the temporal graph network and its state, on the cores that there are."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.measure import Row, alone, versions
from benchmarks.tgnn import EDGES, flows
from models_ml.registry import MODELS, TGNN
from models_ml.tgnn.scoring import Scorer

FLOWS_PER_SECOND = 50_000
PIECE = 65_536


def rows() -> list[Row]:
    """`detect.flows`: milliseconds for 1e5 flows."""
    row = alone("detect.flows", ours=_prepared, note="", repeats=5)
    per_second = EDGES / row.ours * 1000
    note = f"{per_second:.0f} flows/s, in pieces of {PIECE}, without reading the log; {versions('numpy')}"
    return [Row(row.name, row.ours, None, None, row.unit, EDGES / FLOWS_PER_SECOND * 1000, None, note)]


def _prepared() -> Callable[[], object]:
    stream, scorer = flows(), Scorer(MODELS[TGNN].initial())
    pieces = [stream.select(slice(first, first + PIECE)) for first in range(0, len(stream), PIECE)]
    return lambda: [scorer.score(piece) for piece in pieces]
