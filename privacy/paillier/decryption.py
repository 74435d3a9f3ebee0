"""Opening ciphertexts, and what everybody checks of an opening.

A ciphertext c has exactly one plaintext m in Z_n and one randomizer r in Z*_n with c = (1 + m n) r^n mod n^2. Who holds
the private key finds both, modulo p and q apart (Paillier 1999, sections 5 and 7); who has the public key checks them.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import gmpy2

from privacy.paillier.errors import OpeningInvalid
from privacy.paillier.keys import PrivateKey, PublicKey
from privacy.paillier.products import product_of_powers
from privacy.paillier.workers import in_parts

_SOUNDNESS_BITS = 128


@dataclass(frozen=True)
class Openings:
    """The plaintexts m_i and randomizers r_i of ciphertexts, in their order."""

    plaintexts: tuple[int, ...]
    randomizers: tuple[int, ...]

    def to_bytes(self, public: PublicKey) -> bytes:
        """m and r of each, big-endian, as long as n."""
        width = public.modulus_bits // 8
        pairs = zip(self.plaintexts, self.randomizers, strict=True)
        return b"".join(m.to_bytes(width) + r.to_bytes(width) for m, r in pairs)

    @classmethod
    def from_bytes(cls, public: PublicKey, body: bytes, count: int) -> Self:
        """The `count` openings of a body; `verify` says whether they are right.

        Raises:
            OpeningInvalid: another length.
        """
        width = public.modulus_bits // 8
        if len(body) != 2 * count * width:
            raise OpeningInvalid(f"{len(body)} bytes of openings", expected=f"{count} of {2 * width} bytes")
        numbers = [int.from_bytes(body[start : start + width]) for start in range(0, len(body), width)]
        return cls(tuple(numbers[::2]), tuple(numbers[1::2]))


def open_all(private: PrivateKey, ciphertexts: Sequence[int], *, processes: int = 1) -> Openings:
    """Plaintext and randomizer of every ciphertext, which `parse` accepted.

    Checked before they are returned: an opening that a fault made wrong modulo one prime only would give the primes
    away (Boneh, DeMillo and Lipton, "On the Importance of Checking Cryptographic Protocols for Faults", EUROCRYPT
    1997).

    Raises:
        OpeningInvalid: the arithmetic of this machine failed.
    """
    work = partial(_opened, private.to_bytes(), private.public.modulus_bits)
    pairs = in_parts(work, ciphertexts, processes=processes)
    openings = Openings(tuple(m for m, _ in pairs), tuple(r for _, r in pairs))
    verify(private.public, ciphertexts, openings)
    return openings


def verify(public: PublicKey, ciphertexts: Sequence[int], openings: Openings) -> None:
    """Refuse openings that are not those of the ciphertexts, which `parse` accepted.

    The small exponents test (Bellare, Garay and Rabin, "Fast Batch Verification for Modular Exponentiation and Digital
    Signatures", EUROCRYPT 1998): prod(c_i^e_i) = (1 + n sum(e_i m_i)) prod(r_i^e_i)^n mod n^2 for random e_i of 128
    bits. A wrong m_i passes with probability 2^-128, since what it adds has an order of at least p or q. If the key's
    maker hid a factor in n that is smaller, it is one in that factor, which is above 2^16, anew for everybody who
    checks. A key holder can pass a wrong r_i of the right m_i, such as n - r_i; no sum depends on it.

    Raises:
        OpeningInvalid: another number of openings, or a wrong one; `index` names the first.
    """
    counts = {len(ciphertexts), len(openings.plaintexts), len(openings.randomizers)}
    if counts != {len(ciphertexts)}:
        raise OpeningInvalid(f"{len(openings.plaintexts)} openings", expected=f"one for each of {len(ciphertexts)}")
    cases = list(zip(ciphertexts, openings.plaintexts, openings.randomizers, strict=True))
    for index, (_, m, r) in enumerate(cases):
        if not (0 <= m < public.n and 0 < r < public.n):
            raise _wrong(index)
    if not _hold(public, cases):
        raise _wrong(_first_wrong(public, cases))


def _first_wrong(public: PublicKey, cases: Sequence[tuple[int, int, int]]) -> int:
    """By halving, among cases of which one is wrong."""
    start, end = 0, len(cases)
    while end - start > 1:
        middle = (start + end) // 2
        if _hold(public, cases[start:middle]):
            start = middle
        else:
            end = middle
    return start


def _hold(public: PublicKey, cases: Sequence[tuple[int, int, int]]) -> bool:
    """Whether every c = (1 + m n) r^n mod n^2, by one random combination."""
    n, modulus = gmpy2.mpz(public.n), public.n_squared
    exponents = [secrets.randbits(_SOUNDNESS_BITS) for _ in cases]
    ciphertexts, plaintexts, randomizers = ([gmpy2.mpz(case[part]) for case in cases] for part in range(3))
    left = product_of_powers(ciphertexts, exponents, modulus, exponent_bits=_SOUNDNESS_BITS)
    root = product_of_powers(randomizers, exponents, n, exponent_bits=_SOUNDNESS_BITS)
    total = sum(e * m for e, m in zip(exponents, plaintexts, strict=True))
    return bool(left == (1 + n * total) * gmpy2.powmod(root, n, modulus) % modulus)


def _wrong(index: int) -> OpeningInvalid:
    return OpeningInvalid(
        f"opening {index} is not that of its ciphertext", expected="c = (1 + m n) r^n mod n^2", index=index
    )


def _opened(private_bytes: bytes, modulus_bits: int, ciphertexts: Sequence[int]) -> list[tuple[int, int]]:
    """(m, r) of each, from the halves modulo p and q."""
    private = PrivateKey.from_bytes(private_bytes, modulus_bits)
    p, q = private.p, private.q
    halves = [_Half(prime, private.public.n) for prime in (p, q)]
    p_inverse = gmpy2.invert(p, q)
    openings = []
    for ciphertext in ciphertexts:
        (m_p, r_p), (m_q, r_q) = (half.open(ciphertext) for half in halves)
        m = m_p + p * ((m_q - m_p) * p_inverse % q)
        r = r_p + p * ((r_q - r_p) * p_inverse % q)
        openings.append((int(m), int(r)))
    return openings


class _Half:
    """Decryption modulo one prime p of n."""

    def __init__(self, prime: gmpy2.mpz, n: int) -> None:
        self._prime, self._square = prime, prime * prime
        self._root = gmpy2.invert(n, prime - 1)
        self._scale = gmpy2.invert((prime - 1) * (n // prime), prime)

    def open(self, ciphertext: int) -> tuple[gmpy2.mpz, gmpy2.mpz]:
        """m mod p, from c^(p - 1) = 1 + (p - 1) m n mod p^2; r mod p, the n-th root of c mod p."""
        prime = self._prime
        power = gmpy2.powmod(ciphertext, prime - 1, self._square)
        return (power - 1) // prime * self._scale % prime, gmpy2.powmod(ciphertext, self._root, prime)
