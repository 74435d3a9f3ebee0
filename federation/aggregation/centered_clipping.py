"""Centred clipping: from a centre, a few mean steps of which no update contributes more than a radius.

v_(l+1) = v_l + sum(c_i (u_i - v_l)) / N with c_i = min(1, tau / |u_i - v_l|), from v_0 = 0 (the previous model).

Source: Karimireddy, He and Jaggi, "Learning from History for Byzantine Robust Optimization", ICML 2021 (their CC). They
clip momenta that the workers keep, around what the previous round aggregated; here every round starts from the previous
model, which keeps a round's result a function of its submissions alone, and `iterations` are more than their one. tau
is `radius_ppm`, or else the median (lower middle) distance to v_l, anew in every iteration. Limits: needs a majority of
honest updates; a hostile one moves every step by at most tau / N, f together by f tau / N, wherever they want; a fixed
radius that is small against the honest updates leaves v short of them after few iterations. Weights do not count.

Exact: v is a combination of the updates (see `coefficients`); c_i and the coefficients of v are floored to 2^-30 in
every iteration, distances are Python integers, and the D coordinates are combined and rounded half up once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any, ClassVar

from numpy.typing import NDArray

from federation.aggregation.coefficients import ONE, squared_distances_to
from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.fixed_point import Combination
from federation.aggregation.strategy import Parameter, Strategy
from models_ml.fixed_point import SCALE

MILLION = 1_000_000
MAX_RADIUS_PPM = 10**12
MAX_ITERATIONS = 100


@dataclass(frozen=True)
class CenteredClipping(Strategy):
    """Iterative clipping around the centre, with a radius of `radius_ppm` millionths of a model unit."""

    radius_ppm: int = 0
    iterations: int = 10

    name: ClassVar[str] = "centered_clipping"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "radius_ppm",
            0,
            0,
            MAX_RADIUS_PPM,
            "clipping radius around the centre, in millionths of a model unit; 0: the median distance to the centre",
        ),
        Parameter("iterations", 10, 1, MAX_ITERATIONS, "clipped steps from the previous model"),
    )
    needs_products: ClassVar[bool] = True
    instead: ClassVar[str] = "Wait for more organisations, or choose FedAvg or FedProx, which combine any number."

    def minimum(self) -> int:
        return 3  # of two distances neither is the majority's

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        assert products is not None
        radius = Fraction(self.radius_ppm * SCALE * ONE, MILLION) ** 2
        centre = [0] * cohort.count
        for _ in range(self.iterations):
            distances = squared_distances_to(products, centre, ONE)  # in units of 2^-60, as the radius
            limit = radius or Fraction(sorted(distances)[(cohort.count - 1) // 2])
            factors = [clipping_factor(limit, distance) for distance in distances]
            rest = cohort.count * ONE - sum(factors)
            centre = [
                (own * rest + factor * ONE) // (cohort.count * ONE) for own, factor in zip(centre, factors, strict=True)
            ]
        return Plan(range(cohort.count), Combination(centre, ONE))


def clipping_factor(limit: Fraction, distance: int) -> int:
    """floor(2^30 min(1, tau / d)) from tau^2 and d^2."""
    return ONE if distance <= limit else isqrt(int(ONE**2 * limit / distance))
