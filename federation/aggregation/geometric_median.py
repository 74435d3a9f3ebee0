"""Geometric median: the point whose distances to the updates have the smallest sum.

u = argmin_v sum |u_i - v|, by smoothed Weiszfeld iterations: v_(l+1) = sum(w_i u_i) / sum(w_i) with w_i = 1 / max(nu,
|u_i - v_l|). nu is one unit of 2^-24, the resolution of the updates.

Source: Pillutla, Kakade and Harchaoui, "Robust Aggregation for Federated Learning", IEEE Transactions on Signal
Processing 70 (2022) (RFA); Weiszfeld, Tohoku Mathematical Journal 43 (1937). RFA starts from the mean; what a far
outlier leaves in v then shrinks only by about f / (N - f) an iteration, which is slow close to one half. Here v_0 is
the mean of the densest majority: the floor(N/2) + 1 updates nearest to the one for which they lie within the smallest
distance. The median, where there is only one, does not depend on the start. Limits: stands fewer than N/2 hostile
updates; the iterations approach the median, they do not reach it. Weights do not count: they would let one organisation
be the majority.

Exact: v is a combination of the updates (see `coefficients`). Distances are floored to 2^-30 units, the w_i are
integers of 192 bits, the coefficients w_i / sum(w_i) are floored to 2^-30 and then divided by their own sum, so that
they always add up to one; the D coordinates are combined and rounded half up once. Equal distances are decided by the
lower digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any, ClassVar

from numpy.typing import NDArray

from federation.aggregation.coefficients import ONE, squared_distances_to
from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.fixed_point import Combination
from federation.aggregation.gram import squared_distances
from federation.aggregation.strategy import Parameter, Strategy

MAX_ITERATIONS = 100
_NUMERATOR = 2**192  # over a distance of at most 2^30 x 2^32 sqrt(D): no bit that 2^-30 could show is lost


@dataclass(frozen=True)
class GeometricMedian(Strategy):
    """Smoothed Weiszfeld with a fixed number of iterations."""

    iterations: int = 32

    name: ClassVar[str] = "geometric_median"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter("iterations", 32, 1, MAX_ITERATIONS, "Weiszfeld iterations"),
    )
    needs_products: ClassVar[bool] = True
    instead: ClassVar[str] = "Wait for more organisations, or choose FedAvg or FedProx, which combine any number."

    def minimum(self) -> int:
        return 3  # between two updates every point is a geometric median

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        assert products is not None
        numerators = densest_majority(squared_distances(products), cohort.digests)
        for _ in range(self.iterations):
            denominator = sum(numerators)
            squares = squared_distances_to(products, numerators, denominator)
            numerators = weiszfeld([isqrt(ONE**2 * square // denominator**2) for square in squares])
        return Plan(range(cohort.count), Combination(numerators, sum(numerators)))


def densest_majority(distances: NDArray[Any], digests: Sequence[str]) -> list[int]:
    """1 for the majority that lies closest around one of its updates, 0 for the others, from squared distances."""
    size = len(digests) // 2 + 1
    table: list[list[int]] = distances.tolist()
    middle = min(range(len(digests)), key=lambda index: (sorted(table[index])[size - 1], digests[index]))
    nearest = sorted(range(len(digests)), key=lambda index: (table[middle][index], digests[index]))[:size]
    return [int(index in nearest) for index in range(len(digests))]


def weiszfeld(distances: list[int]) -> list[int]:
    """The next coefficients, integers of at most 2^30 together, from distances in units of 2^-30."""
    weights = [_NUMERATOR // max(ONE, distance) for distance in distances]
    total = sum(weights)
    return [ONE * weight // total for weight in weights]
