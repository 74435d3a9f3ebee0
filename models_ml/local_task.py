"""What every local task has: training an update and evaluating a release of one model on an organisation's records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from models_ml.codec import Int32
from models_ml.dpsgd import Coins, RecordNoise
from models_ml.edge_stream import EdgeStream
from models_ml.local_trainer import LocalConfig, Progress

Tensors = Mapping[str, Int32]
Basis = Mapping[str, Tensors]
"""Released models that a model builds on, by name (`ModelSpec.builds_on`): the normaliser of its features, for one."""
NO_BASIS: Basis = MappingProxyType({})
FLOW, HOST_SESSION = "flow", "host_session"


@dataclass(frozen=True)
class LocalUpdate:
    """An organisation's update: integers to add to the parent, how many records it rests on, what was measured."""

    delta: dict[str, Int32]
    samples: int
    metrics: dict[str, float]


class LocalTask(Protocol):
    """Training and evaluation of one model on the organisation's own records.

    `score_name` is the figure of `evaluate` by which a release is compared with its parent (higher is better).
    `example_unit` is what noise on single records protects (`FLOW`, `HOST_SESSION`); None for a model that cannot be
    trained with such noise.
    """

    model_name: str
    score_name: str
    example_unit: str | None

    def train(
        self,
        parent: Tensors,
        data: EdgeStream,
        config: LocalConfig,
        *,
        basis: Basis = NO_BASIS,
        progress: Progress | None = None,
    ) -> LocalUpdate: ...

    def train_privately(
        self,
        parent: Tensors,
        data: EdgeStream,
        config: LocalConfig,
        *,
        noise: RecordNoise,
        coins: Coins,
        basis: Basis = NO_BASIS,
        progress: Progress | None = None,
    ) -> LocalUpdate: ...

    def evaluate(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> dict[str, float]: ...


@runtime_checkable
class ClassifierTask(LocalTask, Protocol):
    """The task of a model that tells families of traffic apart."""

    def predict(self, tensors: Tensors, data: EdgeStream, *, basis: Basis = NO_BASIS) -> npt.NDArray[np.float32]:
        """Probabilities of the families, (n, families), for every record."""
