"""FedYogi: Yogi on the server, whose second moment forgets large updates slowly.

v' = v - (1 - b2) u^2 sign(v - u^2); the rest as in `adaptive`.

Source: Reddi et al., "Adaptive Federated Optimization", ICLR 2021, algorithm 2 (FedYogi); Yogi itself: Zaheer et al.,
"Adaptive Methods for Nonconvex Optimization", NeurIPS 2018. Helps where few rounds bring large updates: Adam's steps
would grow again soon after. Limits: as FedAdam. Exact: see `server_optimizer`; the sign is taken by comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.adaptive import AdaptiveOptimizer
from federation.aggregation.server_optimizer import MILLION, rate


@dataclass(frozen=True)
class FedYogi(AdaptiveOptimizer):
    """Weighted mean, Yogi step."""

    name: ClassVar[str] = "FedYogi"

    def _second_moment(self, variance: NDArray[np.float64], square: NDArray[np.float64]) -> NDArray[np.float64]:
        return variance - rate(MILLION - self.beta2_ppm) * square * np.sign(variance - square)
