"""What FedAdam and FedYogi share: momentum divided by the root of a second moment, which each of them keeps its way.

m' = b1 m + (1 - b1) u, v' by the strategy, w_new = w_prev + eta m' / (sqrt(v') + tau); at the start m = 0, v = tau^2.

Source: Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithm 2, without bias correction, as there.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.server_optimizer import (
    MILLION,
    ServerOptimizer,
    decay_parameter,
    rate,
    rate_parameter,
    settled,
)
from federation.aggregation.strategy import Parameter


@dataclass(frozen=True)
class AdaptiveOptimizer(ServerOptimizer):
    """A step of its own length in every coordinate."""

    server_rate_ppm: int = 10_000
    beta1_ppm: int = 900_000
    beta2_ppm: int = 990_000
    tau_ppm: int = 1_000

    parameters: ClassVar[tuple[Parameter, ...]] = (
        rate_parameter("server_rate_ppm", 10_000, "server learning rate eta"),
        decay_parameter("beta1_ppm", 900_000, "decay of the first moment"),
        decay_parameter("beta2_ppm", 990_000, "decay of the second moment"),
        Parameter("tau_ppm", 1_000, 1, MILLION, "adaptivity tau: smaller adapts more, in millionths of a model unit"),
    )
    state_names: ClassVar[tuple[str, ...]] = ("momentum", "variance")

    def initial_state(self) -> tuple[float, ...]:
        return (0.0, rate(self.tau_ppm) * rate(self.tau_ppm))

    def _move(
        self, gradient: NDArray[np.float64], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        momentum = settled(rate(self.beta1_ppm) * state[0] + rate(MILLION - self.beta1_ppm) * gradient)
        variance = settled(self._second_moment(state[1], gradient * gradient))
        direction = rate(self.server_rate_ppm) * momentum / (np.sqrt(variance) + rate(self.tau_ppm))
        return direction, np.stack((momentum, variance))

    @abstractmethod
    def _second_moment(self, variance: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        """v' from v and the squared mean update."""
