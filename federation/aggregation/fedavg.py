"""FedAvg: the weighted mean.

w_new = w_prev + sum(n_i u_i) / sum(n_i), with u_i = w_i - w_prev.

Source: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
algorithm 1. Limits: one organisation can move the mean as far as its weight and the bound on updates allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from federation.aggregation.weighted_mean import WeightedMean


@dataclass(frozen=True)
class FedAvg(WeightedMean):
    """Exact weighted mean, rounded half up once."""

    name: ClassVar[str] = "FedAvg"
