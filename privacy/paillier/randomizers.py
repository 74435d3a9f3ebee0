"""Random powers of one base, many at a time, from a comb table.

Lim & Lee, "More Flexible Exponentiation with Precomputation", CRYPTO 1994. An exponent is a matrix of bits with one row
a tooth; its columns are cut into blocks. A table for each block holds the products of every subset of the teeth, so a
power costs one multiplication a column, and squarings only as many as a block has columns. As exponents are uniform,
their columns are drawn and never put together.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import gmpy2
import numpy as np

_BLOCKS = 8
_TEETH = range(4, 13)
"""At most 8 x 2^12 entries: 25 MB at a modulus of 3072 bits."""


class RandomPowers:
    """base^a modulo `modulus` for a uniform a of at least `exponent_bits` bits.

    Args:
        count: how many will be drawn, about: the more, the larger the table.
    """

    def __init__(self, base: gmpy2.mpz, modulus: gmpy2.mpz, exponent_bits: int, *, count: int) -> None:
        self.teeth = min(_TEETH, key=lambda teeth: (_BLOCKS << teeth) + count * math.ceil(exponent_bits / teeth))
        self.columns = math.ceil(exponent_bits / (self.teeth * _BLOCKS))
        self._modulus = modulus
        self._tables = self._made(base)

    def draw(self) -> gmpy2.mpz:
        """The next random power, from the operating system's generator."""
        words = np.frombuffer(os.urandom(2 * self.columns * _BLOCKS), dtype=np.uint16)
        return self.power((words & ((1 << self.teeth) - 1)).reshape(self.columns, _BLOCKS).tolist())

    def power(self, columns: Sequence[Sequence[int]]) -> gmpy2.mpz:
        """base^a, from the columns of a: the c-th from the last, in block b, holds as bit t the bit
        (t * blocks + b) * columns + c of a.
        """
        modulus, result = self._modulus, gmpy2.mpz(1)
        for digits in columns:
            result = result * result % modulus
            for table, digit in zip(self._tables, digits, strict=True):
                result = result * table[digit] % modulus
        return result

    def _made(self, base: gmpy2.mpz) -> list[list[gmpy2.mpz]]:
        """For every block the products of all subsets of its teeth."""
        modulus, shift = self._modulus, 1 << self.columns
        tables = [[gmpy2.mpz(1)] for _ in range(_BLOCKS)]
        for _ in range(self.teeth):
            for table in tables:
                table += [entry * base % modulus for entry in table]
                base = gmpy2.powmod(base, shift, modulus)
        return tables
