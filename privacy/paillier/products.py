"""Products of many powers with short exponents."""

from __future__ import annotations

from collections.abc import Sequence

import gmpy2

_DIGIT_BITS = 5


def product_of_powers(
    bases: Sequence[gmpy2.mpz], exponents: Sequence[int], modulus: gmpy2.mpz, *, exponent_bits: int
) -> gmpy2.mpz:
    """prod(b_i^e_i) modulo `modulus`, for 0 <= e_i < 2^exponent_bits.

    Pippenger's buckets (Bernstein, "Pippenger's exponentiation algorithm", 2002): for every digit of the exponents,
    from the highest, one multiplication a base; squarings are shared by all.
    """
    result = gmpy2.mpz(1)
    for shift in reversed(range(0, exponent_bits, _DIGIT_BITS)):
        buckets = [gmpy2.mpz(1)] * (1 << _DIGIT_BITS)
        for base, exponent in zip(bases, exponents, strict=True):
            digit = exponent >> shift & (1 << _DIGIT_BITS) - 1
            buckets[digit] = buckets[digit] * base % modulus
        result = gmpy2.powmod(result, 1 << _DIGIT_BITS, modulus)
        suffix = gmpy2.mpz(1)
        for bucket in reversed(buckets[1:]):  # prod(bucket_d^d): every suffix once
            suffix = suffix * bucket % modulus
            result = result * suffix % modulus
    return result
