"""What everybody can do who has the public key: encrypt, read, add and shift ciphertexts.

c = (1 + m n) (h^n)^a mod n^2 encrypts m in Z_n, with a uniform below 2^(|n|/2) (Damgard, Jurik and Nielsen 2010,
section 4.2). A product of ciphertexts encrypts the sum of the plaintexts mod n.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial, reduce

import gmpy2

from privacy.paillier.errors import CiphertextInvalid
from privacy.paillier.keys import PublicKey
from privacy.paillier.randomizers import RandomPowers
from privacy.paillier.workers import in_parts


def encrypt(public: PublicKey, plaintexts: Sequence[int], *, processes: int = 1) -> bytes:
    """The body: one ciphertext a plaintext, big-endian, each twice as long as n.

    Args:
        plaintexts: integers, taken mod n.
    """
    ciphertexts: list[bytes] = in_parts(partial(_encrypted, public), plaintexts, processes=processes)
    return b"".join(ciphertexts)


def parse(public: PublicKey, body: bytes, count: int) -> list[int]:
    """The `count` ciphertexts of a body, every one in Z*_{n^2}.

    Raises:
        CiphertextInvalid: another length, or a number that is 0, not below n^2, or shares a factor with n.
    """
    width = _width(public)
    if len(body) != count * width:
        raise CiphertextInvalid(
            f"{len(body)} bytes of ciphertexts", expected=f"{count} of {width} bytes: {count * width}"
        )
    ciphertexts = [int.from_bytes(body[start : start + width]) for start in range(0, len(body), width)]
    if max(ciphertexts, default=0) >= public.n_squared or not _all_units(public, ciphertexts):
        index = next(index for index, ciphertext in enumerate(ciphertexts) if not _is_ciphertext(public, ciphertext))
        raise CiphertextInvalid(
            f"ciphertext {index} is not in Z*_{{n^2}}", expected="0 < c < n^2, gcd(c, n) = 1", index=index
        )
    return ciphertexts


def add(public: PublicKey, columns: Iterable[Sequence[int]]) -> list[int]:
    """Ciphertexts of the sums, from at least one party's ciphertexts each, in the same order."""
    modulus = public.n_squared
    rows = ([gmpy2.mpz(ciphertext) for ciphertext in column] for column in columns)
    products = reduce(lambda sums, row: [a * b % modulus for a, b in zip(sums, row, strict=True)], rows)
    return [int(product) for product in products]


def shift(public: PublicKey, ciphertexts: Sequence[int], amounts: Sequence[int]) -> list[int]:
    """Ciphertexts of the plaintexts plus public amounts, which are taken mod n: c (1 + m n) mod n^2."""
    return [
        int(ciphertext * _shown(public, amount) % public.n_squared)
        for ciphertext, amount in zip(ciphertexts, amounts, strict=True)
    ]


def _encrypted(public: PublicKey, plaintexts: Sequence[int]) -> list[bytes]:
    randomizers = RandomPowers(
        public.randomizer_base, public.n_squared, public.modulus_bits // 2, count=len(plaintexts)
    )
    width = _width(public)
    return [
        (_shown(public, plaintext) * randomizers.draw() % public.n_squared).to_bytes(width, "big")
        for plaintext in plaintexts
    ]


def _shown(public: PublicKey, plaintext: int) -> gmpy2.mpz:
    """The plaintext's encryption without a randomizer: (1 + n)^m = 1 + m n mod n^2."""
    return 1 + gmpy2.mpz(plaintext % public.n) * public.n


def _width(public: PublicKey) -> int:
    return public.modulus_bits // 4


def _is_ciphertext(public: PublicKey, number: int) -> bool:
    return bool(0 < number < public.n_squared and gmpy2.gcd(number, public.n) == 1)


def _all_units(public: PublicKey, numbers: Sequence[int]) -> bool:
    """Whether none shares a factor with n, as their product then does not: one gcd for all."""
    n = gmpy2.mpz(public.n)
    return bool(gmpy2.gcd(reduce(lambda product, number: product * number % n, numbers, gmpy2.mpz(1)), n) == 1)
