"""A proof that a modulus leaves every ciphertext one opening only, whoever made it.

With p^2 | n a key's maker could open one ciphertext to several plaintexts. So it shows that gcd(n, phi(n)) = 1, which
makes n square-free: it publishes n-th roots mod n of numbers that a hash draws. Unless the gcd is 1, such a number has
a root with probability at most 1/d, where d is the least prime factor of n (Goldberg, Reyzin, Sagga and Baldimtsi,
"Efficient Noninteractive Certification of RSA Moduli and Beyond", ASIACRYPT 2019).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import gmpy2

ROOTS = 8
"""As no factor is below 2^16, a false proof holds with probability 2^-128."""
_LEAST_FACTOR_BITS = 16
_SURPLUS_BYTES = 16
_LABEL = b"flxdr paillier modulus v1"
_SMALL_PRIMES = gmpy2.primorial(1 << _LEAST_FACTOR_BITS)


def prove(p: gmpy2.mpz, q: gmpy2.mpz) -> tuple[int, ...]:
    """The roots for n = p q, each below n."""
    n = p * q
    exponent = gmpy2.invert(n, (p - 1) * (q - 1))
    return tuple(int(gmpy2.powmod(number, exponent, n)) for number in _numbers(int(n)))


def holds(n: int, roots: Sequence[int]) -> bool:
    """Whether the roots are those of n, below it, and n has no factor below 2^16."""
    return (
        gmpy2.gcd(n, _SMALL_PRIMES) == 1
        and len(roots) == ROOTS
        and all(
            root < n and gmpy2.powmod(root, n, n) == number for root, number in zip(roots, _numbers(n), strict=True)
        )
    )


def _numbers(n: int) -> list[int]:
    """What has to have roots: uniform mod n up to 2^-128, drawn by SHAKE-256 from n."""
    width = n.bit_length() // 8
    drawn = hashlib.shake_256(_LABEL + n.to_bytes(width)).digest(ROOTS * (width + _SURPLUS_BYTES))
    return [
        int.from_bytes(drawn[start : start + width + _SURPLUS_BYTES]) % n
        for start in range(0, len(drawn), width + _SURPLUS_BYTES)
    ]
