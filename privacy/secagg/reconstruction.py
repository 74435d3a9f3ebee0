"""Secrets from shares of which some may be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

from privacy.secagg import shamir
from privacy.secagg.derivation import SECRET_BYTES

MOST_ATTEMPTS = 50_000
"""For all secrets together: seconds. Enough to find the wrong ones among up to 12 senders, three of 50, two of 200."""


@dataclass(frozen=True)
class Found:
    """A secret, and the positions of the shares that do not belong to it."""

    secret: bytes
    wrong: Sequence[int]


class Reconstruction:
    """Reconstructs secrets that were shared at the same points, leaving out the shares that do not fit.

    Args:
        points: where the shares were evaluated, distinct.
        threshold: how many right shares determine a secret; no more than there are points.
    """

    def __init__(self, points: Sequence[int], threshold: int) -> None:
        self._points = points
        self._weights = shamir.weights(points)
        self._spare = len(points) - threshold
        self._suspects: tuple[int, ...] = ()
        self._attempts = MOST_ATTEMPTS

    def find(self, shares: Sequence[int], holds: Callable[[bytes], bool]) -> Found | None:
        """The secret of the shares, one for each point; None if no sufficient set of them gives it.

        Whoever was wrong about an earlier secret is left out first; then nobody, each one, each two, and so on.

        Args:
            holds: whether a candidate is the secret: it is checked against what its owner advertised.
        """
        terms = [weight * share % shamir.PRIME for weight, share in zip(self._weights, shares, strict=True)]
        sets = (combinations(range(len(shares)), size) for size in range(self._spare + 1))
        for left_out in chain([self._suspects], *sets):
            if self._attempts == 0:
                return None
            self._attempts -= 1
            secret = self._without(terms, left_out)
            if holds(secret):
                self._suspects = left_out
                return Found(secret, [one for one in left_out if not holds(self._with(terms, left_out, one))])
        return None

    def _with(self, terms: Sequence[int], left_out: Sequence[int], one: int) -> bytes:
        return self._without(terms, [other for other in left_out if other != one])

    def _without(self, terms: Sequence[int], left_out: Sequence[int]) -> bytes:
        """f(0) from the other points: leaving b out multiplies the weight of x by (b - x) / b."""
        omitted = [self._points[position] for position in left_out]
        total = sum(term * math.prod(b - x for b in omitted) for x, term in zip(self._points, terms, strict=True))
        value = total * pow(math.prod(omitted), -1, shamir.PRIME) % shamir.PRIME
        return (value % (1 << 8 * SECRET_BYTES)).to_bytes(SECRET_BYTES, "big")
