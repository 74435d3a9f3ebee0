"""Keys: their form, their bytes, and what never shows."""

from __future__ import annotations

import copy
import logging
import pickle

import gmpy2
import pytest

from privacy.paillier import modulus_proof
from privacy.paillier.errors import KeyInvalid
from privacy.paillier.keys import PrivateKey, PublicKey
from tests.privacy.paillier.conftest import BITS

HALF = BITS // 16


def test_a_key_has_the_form_that_short_randomizers_need(private: PrivateKey) -> None:
    p, q, public = private.p, private.q, private.public
    assert gmpy2.is_prime(p)
    assert gmpy2.is_prime(q)
    assert p * q == public.n
    assert public.n.bit_length() == BITS
    assert (p % 4, q % 4, gmpy2.gcd(p - 1, q - 1)) == (3, 3, 2)
    # -y^2 modulo primes that are 3 mod 4 is a square modulo neither.
    assert (gmpy2.legendre(public.h, p), gmpy2.legendre(public.h, q)) == (-1, -1)


def test_the_randomizers_base_is_an_nth_power(private: PrivateKey) -> None:
    public = private.public
    order = (private.p - 1) * (private.q - 1)
    assert pow(public.randomizer_base, order, public.n_squared) == 1
    assert public.randomizer_base == pow(public.h, public.n, public.n**2)


def test_keys_go_through_bytes(private: PrivateKey) -> None:
    public = PublicKey.from_bytes(private.public.to_bytes(), BITS)
    again = PrivateKey.from_bytes(private.to_bytes(), BITS)
    assert len(private.public.to_bytes()) == 10 * 2 * HALF
    assert len(private.to_bytes()) == 4 * HALF
    assert public == again.public == private.public
    assert (again.p, again.q) == (private.p, private.q)


def test_two_keys_differ() -> None:
    first, second = (PrivateKey.generate(512, allow_small=True) for _ in range(2))
    assert gmpy2.gcd(first.public.n, second.public.n) == 1


@pytest.mark.parametrize("bits", [1024, 2040, 2047])
def test_a_small_or_odd_size_is_refused(bits: int) -> None:
    with pytest.raises(KeyInvalid, match="at least 2048"):
        PrivateKey.generate(bits)


@pytest.mark.parametrize("size", [0, 1, 4 * HALF - 1, 4 * HALF + 1])
def test_bytes_of_another_length_are_refused(private: PrivateKey, size: int) -> None:
    for key in (PublicKey, PrivateKey):
        with pytest.raises(KeyInvalid, match="bytes"):
            key.from_bytes(bytes(size), BITS)


def public_bytes(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2 * HALF) for number in numbers)


def of_form(start: int, step: int) -> int:
    """The first number from `start` on in these steps that is 1 mod 4."""
    while start % 4 != 1:
        start += step
    return start


def test_a_modulus_of_another_form_is_refused(private: PrivateKey) -> None:
    n, h, proof = private.public.n, private.public.h, private.public.proof
    small_factor = of_form(65521 * (((1 << (BITS - 1)) // 65521) | 1), 2 * 65521)
    for wrong in (0, n - 1, n >> 1, n + 2, n + 4, small_factor):
        with pytest.raises(KeyInvalid, match="modulus"):
            PublicKey.from_bytes(public_bytes(wrong, h, *proof), BITS)


def test_a_prime_modulus_is_refused() -> None:
    """Modulo a prime every number is its own n-th root."""
    prime = int(gmpy2.next_prime(1 << (BITS - 1)))
    while prime % 4 != 1:
        prime = int(gmpy2.next_prime(prime))
    roots = tuple(modulus_proof._numbers(prime))
    assert modulus_proof.holds(prime, roots)
    with pytest.raises(KeyInvalid, match="modulus"):
        PublicKey(prime, 3, roots)


def test_a_modulus_that_opens_a_ciphertext_twice_has_no_proof() -> None:
    """With n = p^2 q, what opens to (pq, 1) also opens to (0, 1 + pq)."""
    p, q = (int(PrivateKey.generate(512, allow_small=True).p) for _ in range(2))
    n = p * p * q
    assert (1 + p * q * n) % n**2 == pow(1 + p * q, n, n**2)
    # An n-th power mod n has an order that divides (p - 1)(q - 1).
    assert all(pow(number, (p - 1) * (q - 1), n) != 1 for number in modulus_proof._numbers(n))


def test_a_proof_belongs_to_its_modulus(private: PrivateKey) -> None:
    n, h, proof = private.public.n, private.public.h, private.public.proof
    other = PrivateKey.generate(BITS, allow_small=True).public
    for wrong in (other.proof, proof[::-1], (*proof[:-1], proof[-1] ^ 1), (*proof[:-1], n - 1), (0,) * len(proof)):
        with pytest.raises(KeyInvalid, match="proof"):
            PublicKey.from_bytes(public_bytes(n, h, *wrong), BITS)
    with pytest.raises(KeyInvalid, match="proof"):
        PublicKey(n, h, proof[:-1])
    with pytest.raises(KeyInvalid, match="proof"):
        PublicKey(n, h, (proof[0] + n, *proof[1:]))


def test_a_base_that_generates_nothing_is_refused(private: PrivateKey) -> None:
    n, p, proof = private.public.n, int(private.p), private.public.proof
    for wrong in (0, 1, n - 1, n, n + 2, p, 5 * p):
        with pytest.raises(KeyInvalid, match="base"):
            PublicKey.from_bytes(public_bytes(n, wrong, *proof), BITS)


def test_factors_of_another_form_are_refused(private: PrivateKey) -> None:
    p, q, h = int(private.p), int(private.q), private.public.h
    for factors in ((q, p), (p, p), (p, q - 2), (p + 2, q), (p * q, 1)):
        with pytest.raises(KeyInvalid):
            PrivateKey(*factors, h)


def test_the_private_key_never_shows(private: PrivateKey, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("tests").warning("%s %r", private, private)
    for text in (repr(private), str(private), f"{private}", caplog.text):
        assert "PrivateKey" in text
        assert str(private.p) not in text
        assert f"{int(private.p):x}" not in text


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_the_private_key_is_not_pickled(private: PrivateKey, leak) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        leak(private)
