"""FedAdam: Adam on the server.

v' = b2 v + (1 - b2) u^2; the rest as in `adaptive`.

Source: Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithm 2 (FedAdam). Helps where coordinates learn
at very different paces. Limits: as FedAvg; small coordinates take steps as long as large ones, so a hostile update of
little norm reaches farther than under FedAvg. Exact: see `server_optimizer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.adaptive import AdaptiveOptimizer
from federation.aggregation.server_optimizer import MILLION, rate


@dataclass(frozen=True)
class FedAdam(AdaptiveOptimizer):
    """Weighted mean, Adam step."""

    name: ClassVar[str] = "FedAdam"

    def _second_moment(self, variance: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        return rate(self.beta2_ppm) * variance + rate(MILLION - self.beta2_ppm) * square
