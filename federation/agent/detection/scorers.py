"""What scores flows: one interface over the models that tell families of traffic apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from federation.agent.errors import UsageInvalid
from federation.agent.evaluation import FoundModel
from models_ml.codec import Int32, check_schema
from models_ml.edge_stream import EdgeStream
from models_ml.features import extract
from models_ml.local_task import NO_BASIS, Basis
from models_ml.normalisation import normalise
from models_ml.perceptron import logits, parameters_of, softmax
from models_ml.recent_flows import RecentFlows
from models_ml.registry import EDGE_CLASSIFIER, EDGE_NORMALISER, MODELS, TGNN
from models_ml.tgnn.explanation import Driver
from models_ml.tgnn.scoring import Scorer

Float32 = npt.NDArray[np.float32]

DETECTORS = (TGNN, EDGE_CLASSIFIER)
"""Models that detect, the better one first."""


class Judgement(Protocol):
    """Probabilities (n, families) of a piece, and, from models that have any, embeddings (n, 128) of its sources."""

    @property
    def probabilities(self) -> Float32: ...

    @property
    def embedding(self) -> Float32 | None: ...


class FlowScorer(Protocol):
    """Scores the pieces of one stream, one after the other; what hosts did in earlier pieces counts."""

    def score(self, stream: EdgeStream) -> Judgement: ...

    def explain(self, row: int) -> tuple[Driver, ...]:
        """What the past of the two hosts added to the score of a row of the last piece."""
        ...


@dataclass(frozen=True, eq=False)
class FlowsAlone:
    """A judgement of single flows: there is no embedding."""

    probabilities: Float32
    embedding: None = None


class EdgeScorer:
    """The edge classifier on a stream: counts of the last minute carry over from piece to piece.

    A record that is older than what was scored before counts as happening now.

    Raises:
        SchemaMismatch: other tensors than those of `edge-classifier`.
    """

    def __init__(self, tensors: Mapping[str, Int32], basis: Basis = NO_BASIS) -> None:
        check_schema(tensors, MODELS[EDGE_CLASSIFIER].schema)
        self._parameters = parameters_of(tensors)
        self._normaliser = basis.get(EDGE_NORMALISER)
        self._recent = RecentFlows()
        self._now = -np.inf

    def score(self, stream: EdgeStream) -> FlowsAlone:
        """Score the next piece, any number of records in any order."""
        order = np.argsort(stream.t, kind="stable")
        ordered = stream.select(order)
        ordered = replace(ordered, t=np.maximum(ordered.t, self._now))
        features = extract(ordered, self._recent.observe(ordered))
        if len(ordered):
            self._now = float(ordered.t[-1])
        inputs = features if self._normaliser is None else normalise(features, self._normaliser)
        scored = softmax(logits(self._parameters, inputs))
        probabilities = np.empty_like(scored)
        probabilities[order] = scored
        return FlowsAlone(probabilities)

    def explain(self, row: int) -> tuple[Driver, ...]:
        """Nothing: this model looks at flows one by one."""
        return ()


def scorer_for(found: FoundModel) -> FlowScorer:
    """The scorer of a model.

    Raises:
        UsageInvalid: the model tells no families apart.
    """
    if found.name == TGNN:
        return Scorer(found.tensors, found.basis)
    if found.name == EDGE_CLASSIFIER:
        return EdgeScorer(found.tensors, found.basis)
    raise UsageInvalid(f"{found.name} detects nothing", expected=" | ".join(DETECTORS))
