"""FedProx as the deployment guide states it for the server: the mean, pulled back towards the previous model.

w_new = avg + lambda (w_prev - avg), with avg the weighted mean of the w_i. On deltas u_i = w_i - w_prev, with u their
weighted mean, that is u' = u - lambda u.

Two roundings, both half up: the mean to 2^-24, then the pull lambda u (lambda in millionths) to 2^-24. lambda = 0 is
FedAvg, lambda = 1 keeps the previous model.

Source of the name: Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020; their proximal term
mu/2 |w - w_prev|^2 belongs to the local objective and is applied by the organisations' trainers. Limits: as FedAvg; the
pull shortens steps, it is no protection from a hostile update.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.strategy import Parameter
from federation.aggregation.weighted_mean import WeightedMean
from models_ml.fixed_point import round_half_up_div

MILLION = 1_000_000


@dataclass(frozen=True)
class FedProx(WeightedMean):
    """Exact weighted mean, pulled towards the previous model by `lambda_ppm` millionths."""

    lambda_ppm: int = 10_000

    name: ClassVar[str] = "FedProx"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("lambda_ppm", 10_000, 0, MILLION, "pull towards the previous model, in millionths"),
    )

    def step(
        self, combined: NDArray[np.int32], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        mean = combined.astype(np.int64)
        return (mean - round_half_up_div(mean * self.lambda_ppm, MILLION)).astype(np.int32), state
