"""Paillier keys whose randomizers are short powers of one base.

Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", EUROCRYPT 1999, with g = 1 + n; the
base is that of Damgard, Jurik and Nielsen, "A generalization of Paillier's public-key system with applications to
electronic voting", IJIS 9 (2010), section 4.2: p and q are 3 mod 4 with gcd(p - 1, q - 1) = 2, and h = -y^2 mod n.
Everybody derives h^n mod n^2 from h, so that whoever made the key, randomizers are n-th powers and change no plaintext.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn, Self

import gmpy2

from privacy.paillier import modulus_proof
from privacy.paillier.errors import KeyInvalid

MODULUS_BITS = 3072
"""NIST SP 800-57 part 1, table 2: as strong as 128-bit keys; 2048 bits are as strong as 112."""
MODULUS_BITS_MIN = 2048
_PRIMALITY_ROUNDS = 40


@dataclass(frozen=True)
class PublicKey:
    """The modulus n, the base h of the randomizers, and the proof that n leaves every ciphertext one opening.

    Raises:
        KeyInvalid: an n that is no product of two primes of this form or whose proof fails, or an h that generates
            nothing.
    """

    n: int
    h: int
    proof: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.n % 4 != 1 or gmpy2.is_prime(self.n) or not modulus_proof.holds(self.n, self.proof):
            raise KeyInvalid(
                "the modulus is prime, has a small or a repeated factor, or comes without its proof",
                expected="a product of two large primes, 3 mod 4",
            )
        if not 1 < self.h < self.n - 1 or gmpy2.jacobi(self.h, self.n) != 1:
            raise KeyInvalid("the base of the randomizers is trivial", expected="-y^2 mod n")

    @property
    def modulus_bits(self) -> int:
        return self.n.bit_length()

    @cached_property
    def n_squared(self) -> gmpy2.mpz:
        """The modulus of ciphertexts."""
        return gmpy2.mpz(self.n) ** 2

    @cached_property
    def randomizer_base(self) -> gmpy2.mpz:
        """h^n mod n^2, of which randomizers are powers."""
        return gmpy2.powmod(self.h, self.n, self.n_squared)

    def to_bytes(self) -> bytes:
        """n, h and the proof's numbers, big-endian, each as long as n."""
        width = self.modulus_bits // 8
        return b"".join(number.to_bytes(width) for number in (self.n, self.h, *self.proof))

    @classmethod
    def from_bytes(cls, data: bytes, modulus_bits: int) -> Self:
        """The key with these bytes.

        Raises:
            KeyInvalid: another length, an n of another bit length, or what the constructor refuses.
        """
        n, h, *proof = _integers(data, modulus_bits, (modulus_bits // 8,) * (2 + modulus_proof.ROOTS))
        _require_bits(n, modulus_bits)
        return cls(n, h, tuple(proof))


class PrivateKey:
    """The two primes, p above q, beside the public key's h.

    Neither shown nor pickled: who wants the bytes says so. The arithmetic takes no care of timing or caches, so nobody
    who shares the machine may be an adversary.

    Raises:
        KeyInvalid: p and q are no such primes.
    """

    def __init__(self, p: int, q: int, h: int) -> None:
        self.p, self.q = gmpy2.mpz(p), gmpy2.mpz(q)
        primes = all(gmpy2.is_prime(prime, _PRIMALITY_ROUNDS) for prime in (self.p, self.q))
        if not primes or p <= q or p % 4 != 3 or q % 4 != 3 or gmpy2.gcd(p - 1, q - 1) != 2:
            raise KeyInvalid("the factors do not make a key", expected="primes p > q, 3 mod 4, gcd(p - 1, q - 1) = 2")
        self.public = PublicKey(p * q, h, modulus_proof.prove(self.p, self.q))

    @classmethod
    def generate(cls, bits: int = MODULUS_BITS, *, allow_small: bool = False) -> Self:
        """A fresh key from the operating system's generator.

        Args:
            bits: of n, a multiple of 16.
            allow_small: also below 2048 bits, which protects nothing: for tests.

        Raises:
            KeyInvalid: a size that is not offered.
        """
        if bits % 16 or (bits < MODULUS_BITS_MIN and not allow_small):
            raise KeyInvalid(f"{bits} bits", expected=f"a multiple of 16, at least {MODULUS_BITS_MIN}")
        p, q = _prime(bits // 2), _prime(bits // 2)
        while p == q or gmpy2.gcd(p - 1, q - 1) != 2:
            q = _prime(bits // 2)
        n = p * q
        y = secrets.randbelow(n - 2) + 1
        return cls(max(p, q), min(p, q), -y * y % n)

    def to_bytes(self) -> bytes:
        """p, q and h, big-endian, as long as p, p and n."""
        half = self.public.modulus_bits // 16
        return int(self.p).to_bytes(half) + int(self.q).to_bytes(half) + self.public.h.to_bytes(2 * half)

    @classmethod
    def from_bytes(cls, data: bytes, modulus_bits: int) -> Self:
        """The key with these bytes.

        Raises:
            KeyInvalid: another length, an n of another bit length, or what the constructor refuses.
        """
        half = modulus_bits // 16
        p, q, h = _integers(data, modulus_bits, (half, half, 2 * half))
        _require_bits(p * q, modulus_bits)
        return cls(p, q, h)

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public.modulus_bits} bits>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled; pass to_bytes() to where it has to be")


def _prime(bits: int) -> int:
    """A random prime, 3 mod 4, with its two highest bits set, so that a product of two has twice the bits."""
    while True:
        candidate = secrets.randbits(bits) | (3 << (bits - 2)) | 3
        if gmpy2.is_prime(candidate, _PRIMALITY_ROUNDS):
            return candidate


def _integers(data: bytes, modulus_bits: int, widths: tuple[int, ...]) -> list[int]:
    """Consecutive big-endian integers of these widths, in bytes."""
    if modulus_bits % 16 or len(data) != sum(widths):
        raise KeyInvalid(f"{len(data)} bytes", expected=f"{sum(widths)} bytes for a modulus of {modulus_bits} bits")
    integers, start = [], 0
    for width in widths:
        integers.append(int.from_bytes(data[start : start + width]))
        start += width
    return integers


def _require_bits(n: int, modulus_bits: int) -> None:
    if n.bit_length() != modulus_bits:
        raise KeyInvalid(f"a modulus of {n.bit_length()} bits", expected=f"{modulus_bits} bits")
