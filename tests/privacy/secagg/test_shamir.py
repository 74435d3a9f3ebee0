"""Sharing against its definition, and that fewer than the threshold say nothing."""

from __future__ import annotations

import hashlib
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from privacy.secagg import shamir
from privacy.secagg.shamir import PRIME


def element(label: str) -> int:
    return int.from_bytes(hashlib.sha256(label.encode()).digest(), "big")


def test_the_modulus_is_prime() -> None:
    """Miller and Rabin's test with 64 bases: a composite passes with a probability below 2^-128."""
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 66):
        powers = [pow(base, odd << step, PRIME) for step in range(twos)]
        assert powers[0] == 1 or PRIME - 1 in powers


def interpolated(points: dict[int, int], x: int) -> int:
    """Lagrange's formula, as it is defined."""
    total = 0
    for one, value in points.items():
        term = value
        for other in points:
            if other != one:
                term = term * (x - other) * pow(one - other, -1, PRIME) % PRIME
        total += term
    return total % PRIME


@pytest.mark.parametrize(("count", "threshold"), [(3, 3), (7, 5), (12, 9), (50, 34)])
def test_shares_lie_on_one_polynomial(count: int, threshold: int) -> None:
    secret, first = element("secret"), [element(f"share {number}") for number in range(threshold - 1)]
    shares = shamir.split(secret, first, count)
    assert shares[: threshold - 1] == first
    known = {0: secret} | dict(enumerate(first, start=1))
    assert shares == [interpolated(known, x) for x in range(1, count + 1)]


def test_every_set_of_the_threshold_gives_the_secret() -> None:
    secret = 2**256 - 1
    shares = shamir.split(secret, [element(f"share {number}") for number in range(4)], 7)
    for chosen in combinations(range(7), 5):
        weights = shamir.weights([position + 1 for position in chosen])
        assert sum(w * shares[position] for w, position in zip(weights, chosen, strict=True)) % PRIME == secret


def test_one_less_fits_every_secret() -> None:
    """For shares of t - 1 parties, whoever they are, each secret has randomness that would have led to them."""
    shares = shamir.split(element("secret"), [element("one"), element("two")], 5)
    for chosen in combinations(range(1, 6), 2):
        seen = {x: shares[x - 1] for x in chosen}
        for other in (0, 1, element("another")):
            first = [interpolated(seen | {0: other}, x) for x in (1, 2)]
            again = shamir.split(other, first, 5)
            assert all(again[x - 1] == seen[x] for x in chosen)


def test_later_shares_are_as_uniform_as_the_first() -> None:
    top = [
        [share * 16 // PRIME for share in shamir.split(7, [element(f"{run}a"), element(f"{run}b")], 5)]
        for run in range(4000)
    ]
    for column in np.array(top).T:
        assert stats.chisquare(np.bincount(column, minlength=16)).pvalue > 1e-3
