"""FedAvg: the weighted mean.

w_new = w_prev + sum(n_i u_i) / sum(n_i), with u_i = w_i - w_prev.

Source: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017,
algorithm 1. Limits: one organisation can move the mean as far as its weight and the bound on updates allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from federation.aggregation.cohort import Aggregate, Cohort
from federation.aggregation.fixed_point import weighted_mean
from federation.aggregation.strategy import Strategy


@dataclass(frozen=True)
class FedAvg(Strategy):
    """Exact weighted mean, rounded half up once."""

    name: ClassVar[str] = "FedAvg"
    instead: ClassVar[str] = "Collect at least one update."

    def minimum(self) -> int:
        return 1

    def _combine(self, cohort: Cohort) -> Aggregate:
        return Aggregate(weighted_mean(cohort.updates, cohort.weights))
