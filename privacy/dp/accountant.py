"""What releases of noise cost together.

A release is kept as the integers it was made with, from which its Renyi divergences follow exactly; epsilons are never
added, since they do not add up. Where every release is of the whole data, composition is exact (`composition`); as soon
as one is of a sample, divergences are added order by order (`rdp`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from privacy.dp import composition, rdp
from privacy.dp.composition import PPM
from privacy.errors import PrivacyParameterInvalid

MOST_ROUNDS = 10**9


@dataclass(frozen=True)
class Release:
    """Steps of Gaussian noise alike.

    Attributes:
        sensitivity_ppm: how far one unit of privacy moves what is released, L2, in millionths of some unit.
        sigma_ppm: standard deviation of the noise, in millionths of the same unit.
        sampling_ppm: probability of each record to be drawn in a step, in millionths.
        steps: how many.
    """

    sensitivity_ppm: int
    sigma_ppm: int
    sampling_ppm: int = PPM
    steps: int = 1


Releases = Iterable[Release] | Mapping[Release, int]
"""Some releases, or how many there are of each."""
_Counted = frozenset[tuple[Release, int]]


def epsilon_ppm(releases: Releases, delta: float) -> int:
    """The epsilon at `delta` of all releases together, in millionths, rounded up.

    Raises:
        PrivacyParameterInvalid: a value out of range.
    """
    return _epsilon_ppm(_counted(releases), delta)


def rounds_until_exhausted(
    *, spent: Releases, per_round: Release, budget_ppm: int, delta: float, at_most: int = MOST_ROUNDS
) -> int:
    """How many more rounds of `per_round` fit after `spent` without exceeding the budget, counted up to `at_most`.

    Found by search with the accountant: epsilon grows more slowly than the number of rounds, so a division would
    promise too few, and after unequal rounds too many.
    """
    return _rounds_left(_counted(spent), per_round, budget_ppm, delta, at_most)


@lru_cache(maxsize=64)
def calibrated_multiplier_ppm(
    *, budget_ppm: int, delta: float, sampling_ppm: int, steps: int, beside: tuple[Release, ...] = ()
) -> int:
    """The least noise of a step, in millionths of a clipping norm, at which `steps` of them spend at most the budget.

    Args:
        beside: other releases that the same budget pays for.

    Raises:
        PrivacyParameterInvalid: a value out of range, nothing is left beside the others, or a budget that no noise
            keeps (`rdp.require_provable`).
    """
    if not 0 < sampling_ppm <= PPM or steps < 1:
        raise PrivacyParameterInvalid(
            f"{steps} steps at a sampling rate of {sampling_ppm} ppm", expected=f"at least one, and 1 to {PPM} ppm"
        )
    if epsilon_ppm(beside, delta) >= budget_ppm:
        raise PrivacyParameterInvalid("nothing is left of the budget", expected="an epsilon above that of the others")
    if sampling_ppm < PPM:
        rdp.require_provable(budget_ppm / PPM, delta)

    def holds(multiplier_ppm: int) -> bool:
        return epsilon_ppm((*beside, Release(PPM, multiplier_ppm, sampling_ppm, steps)), delta) <= budget_ppm

    low, high = PPM // 10, PPM
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _counted(releases: Releases) -> _Counted:
    return frozenset((release, count) for release, count in Counter(releases).items() if count)


@lru_cache(maxsize=4096)
def _rounds_left(spent: _Counted, per_round: Release, budget_ppm: int, delta: float, at_most: int) -> int:
    before = Counter(dict(spent))

    def fits(rounds: int) -> bool:
        return _epsilon_ppm(_counted(before + Counter({per_round: rounds})), delta) <= budget_ppm

    if not fits(1):
        return 0
    # Few rounds are left as a rule: doubling from one finds a bound sooner than halving a thousand million.
    low, high = 1, min(2, at_most)
    while fits(high):
        if high == at_most:
            return at_most
        low, high = high, min(2 * high, at_most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@lru_cache(maxsize=16384)  # Many organisations spend alike, and sums do not depend on the order of releases.
def _epsilon_ppm(counted: _Counted, delta: float) -> int:
    if all(release.sampling_ppm == PPM for release, _ in counted):
        squares = (
            count * release.steps * composition.squared_mu(release.sensitivity_ppm, release.sigma_ppm)
            for release, count in counted
        )
        return composition.epsilon_ppm(composition.total(squares), delta)
    vectors = [
        rdp.steps(release.sigma_ppm / release.sensitivity_ppm, release.sampling_ppm / PPM, count * release.steps)
        for release, count in counted
    ]
    return math.ceil(rdp.epsilon(rdp.composed(vectors), delta) * PPM)
