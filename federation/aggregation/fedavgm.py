"""FedAvgM: the server keeps momentum.

v' = beta v + u, w_new = w_prev + eta v', with u the weighted mean of the updates and v = 0 at the start.

Source: Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
Classification", 2019 (arXiv:1909.06335). Helps where organisations' data differ and rounds pull to and fro. Limits: as
FedAvg, and what a hostile update does to one round goes on in the next ones, up to 1 / (1 - beta) times. Exact: see
`server_optimizer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.server_optimizer import (
    ServerOptimizer,
    decay_parameter,
    rate,
    rate_parameter,
    settled,
)
from federation.aggregation.strategy import Parameter


@dataclass(frozen=True)
class FedAvgM(ServerOptimizer):
    """Weighted mean with server momentum."""

    server_rate_ppm: int = 1_000_000
    momentum_ppm: int = 900_000

    name: ClassVar[str] = "FedAvgM"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        rate_parameter("server_rate_ppm", 1_000_000, "server learning rate eta"),
        decay_parameter("momentum_ppm", 900_000, "momentum beta"),
    )
    state_names: ClassVar[tuple[str, ...]] = ("momentum",)

    def initial_state(self) -> tuple[float, ...]:
        return (0.0,)

    def _move(
        self, gradient: NDArray[np.float64], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        momentum = settled(rate(self.momentum_ppm) * state[0] + gradient)
        return rate(self.server_rate_ppm) * momentum, momentum[None]
