"""Norm bounding: no update is longer than a bound, then the mean.

u = sum(c_i u_i) / N with c_i = min(1, B / |u_i|), rounded half up once; c_i is floored to millionths, so that no scaled
update exceeds the bound. B is `norm_bound_ppm`, or else the cohort's median norm (the lower middle one for even N).

Source: Sun, Kairouz, Suresh and McMahan, "Can You Really Backdoor Federated Learning?", 2019 (arXiv:1911.07963; norm
thresholding, B fixed). Limits: a hostile update moves the mean by at most B / N, and f together by f B / N, in a
direction of their choice: bounded, not removed. The median norm is an honest one's bound while fewer than N/2 are
hostile. Weights do not count: a claim of many samples would buy back what the bound takes. At most 4294 updates fit the
exact sum.

Exact: with |u|^2 a Python integer (see `gram`), floor(10^6 B / |u|) = isqrt(floor(10^12 B^2 / |u|^2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any, ClassVar

from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.fixed_point import MAX_TOTAL_WEIGHT, Combination
from federation.aggregation.strategy import Parameter, Strategy
from models_ml.fixed_point import SCALE

MILLION = 1_000_000
MAX_BOUND_PPM = 10**12


@dataclass(frozen=True)
class NormBounding(Strategy):
    """Exact mean of updates scaled to a norm of at most `norm_bound_ppm` millionths of a model unit."""

    norm_bound_ppm: int = 0

    name: ClassVar[str] = "norm_bounding"
    parameters: ClassVar[tuple[Parameter, ...]] = (
        Parameter(
            "norm_bound_ppm",
            0,
            0,
            MAX_BOUND_PPM,
            "largest L2 norm of an update, in millionths of a model unit; 0: the cohort's median norm",
        ),
    )
    needs_products: ClassVar[bool] = True
    instead: ClassVar[str] = "Wait for more organisations, or choose FedAvg or FedProx, which combine any number."

    def minimum(self) -> int:
        return 3  # of two norms neither is the majority's

    def maximum(self) -> int:
        return MAX_TOTAL_WEIGHT // MILLION

    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        assert products is not None
        squares: list[int] = products.diagonal().tolist()
        if self.norm_bound_ppm:
            bound = Fraction(self.norm_bound_ppm * SCALE, MILLION) ** 2
        else:
            bound = Fraction(sorted(squares)[(cohort.count - 1) // 2])
        factors = [factor_ppm(bound, square) for square in squares]
        return Plan(range(cohort.count), Combination(factors, cohort.count * MILLION))


def factor_ppm(bound: Fraction, square: int) -> int:
    """floor(10^6 min(1, B / |u|)) from B^2 and |u|^2."""
    return MILLION if square <= bound else isqrt(int(MILLION**2 * bound / square))
