"""How much each organisation counts in a mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.errors import CohortInvalid, MethodInvalid
from federation.aggregation.fixed_point import require_total

WEIGHTINGS = ("samples", "equal", "capped")


def weights(samples: Sequence[int], how: str) -> NDArray[np.int64]:
    """The weights of a cohort whose updates were trained on `samples` records each.

    - `samples`: as many as the records (the guide's n_i / n).
    - `equal`: one each.
    - `capped`: as `samples`, but nobody weighs more than twice the mean of those who are not capped, rounded down. So a
      claim of a billion records buys no more than two ordinary shares.

    The weights are divided by their greatest common divisor, which changes no mean and keeps sums small.

    Raises:
        MethodInvalid: `how` is none of `WEIGHTINGS`.
        CohortInvalid: no organisations, or a count below 1.
        WeightOverflow: the total exceeds `fixed_point.MAX_TOTAL_WEIGHT`.
    """
    if how not in WEIGHTINGS:
        raise MethodInvalid(f"weighting {how!r}", expected=" | ".join(WEIGHTINGS), parameter="weighting")
    if not samples or min(samples) < 1:
        raise CohortInvalid("an update without samples has no weight", expected="at least one sample an organisation")
    if how == "equal":
        counts = [1] * len(samples)
    elif how == "capped":
        limit = _cap(samples)
        counts = [min(count, limit) for count in samples]
    else:
        counts = list(samples)
    divisor = math.gcd(*counts)
    reduced = [count // divisor for count in counts]
    require_total(reduced)
    return np.array(reduced, dtype=np.int64)


def _cap(samples: Sequence[int]) -> int:
    """Twice the mean of the largest set of smallest counts in which nobody exceeds twice the mean."""
    ascending = sorted(samples)
    for kept, total in reversed(list(enumerate(accumulate(ascending), start=1))):
        if ascending[kept - 1] * kept <= 2 * total:
            return 2 * total // kept
    raise AssertionError("the smallest count alone never exceeds twice itself")
