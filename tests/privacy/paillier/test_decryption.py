"""Openings: right ones verify, wrong ones are named."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from privacy.paillier import decryption
from privacy.paillier.decryption import Openings, open_all, verify
from privacy.paillier.encryption import encrypt, parse
from privacy.paillier.errors import OpeningInvalid
from privacy.paillier.keys import PrivateKey
from privacy.paillier.products import product_of_powers

COUNT = 9


@pytest.fixture(scope="module")
def ciphertexts(private: PrivateKey) -> list[int]:
    plaintexts = [secrets.randbelow(private.public.n) for _ in range(COUNT)]
    return parse(private.public, encrypt(private.public, plaintexts), COUNT)


@pytest.fixture(scope="module")
def openings(private: PrivateKey, ciphertexts: list[int]) -> Openings:
    return open_all(private, ciphertexts)


def changed(values: tuple[int, ...], index: int, value: int) -> tuple[int, ...]:
    return (*values[:index], value, *values[index + 1 :])


def refused(private: PrivateKey, ciphertexts: list[int], openings: Openings) -> int:
    with pytest.raises(OpeningInvalid) as caught:
        verify(private.public, ciphertexts, openings)
    return int(caught.value.fields["index"])


def test_an_opening_makes_its_ciphertext(private: PrivateKey, ciphertexts: list[int], openings: Openings) -> None:
    n = private.public.n
    for c, m, r in zip(ciphertexts, openings.plaintexts, openings.randomizers, strict=True):
        assert c == (1 + m * n) * pow(r, n, n**2) % n**2
    verify(private.public, ciphertexts, openings)


@pytest.mark.parametrize("count", range(COUNT + 1))
def test_any_number_of_openings_verifies(private: PrivateKey, ciphertexts, openings: Openings, count: int) -> None:
    verify(private.public, ciphertexts[:count], Openings(openings.plaintexts[:count], openings.randomizers[:count]))


@pytest.mark.parametrize("index", range(COUNT))
def test_a_wrong_plaintext_is_named(private: PrivateKey, ciphertexts, openings: Openings, index: int) -> None:
    n = private.public.n
    for offset in (1, n - 1, int(private.p), int(private.q)):
        wrong = changed(openings.plaintexts, index, (openings.plaintexts[index] + offset) % n)
        assert refused(private, ciphertexts, replace(openings, plaintexts=wrong)) == index


@pytest.mark.parametrize("index", range(COUNT))
def test_a_wrong_randomizer_is_named(private: PrivateKey, ciphertexts, openings: Openings, index: int) -> None:
    for factor in (2, secrets.randbelow(private.public.n)):
        wrong = changed(openings.randomizers, index, openings.randomizers[index] * factor % private.public.n)
        assert refused(private, ciphertexts, replace(openings, randomizers=wrong)) == index


def test_of_several_wrong_ones_the_first_is_named(private: PrivateKey, ciphertexts, openings: Openings) -> None:
    plaintexts = changed(changed(openings.plaintexts, 3, 0), 7, 0)
    assert refused(private, ciphertexts, replace(openings, plaintexts=plaintexts)) == 3


def test_errors_that_cancel_out_are_caught(private: PrivateKey, ciphertexts, openings: Openings) -> None:
    first, second, *others = openings.plaintexts
    assert refused(private, ciphertexts, replace(openings, plaintexts=(first - 1, second + 1, *others))) == 0


def test_swapped_openings_are_caught(private: PrivateKey, ciphertexts, openings: Openings) -> None:
    def swapped(values: tuple[int, ...]) -> tuple[int, ...]:
        return (values[1], values[0], *values[2:])

    assert refused(private, ciphertexts, Openings(swapped(openings.plaintexts), swapped(openings.randomizers))) == 0


def test_numbers_out_of_range_are_refused(private: PrivateKey, ciphertexts, openings: Openings) -> None:
    """They would make the same ciphertext: every sum has one opening only."""
    n = private.public.n
    for m in (openings.plaintexts[4] + n, openings.plaintexts[4] - n):
        wrong = replace(openings, plaintexts=changed(openings.plaintexts, 4, m))
        assert refused(private, ciphertexts, wrong) == 4
    for r in (openings.randomizers[4] + n, openings.randomizers[4] - n, 0):
        wrong = replace(openings, randomizers=changed(openings.randomizers, 4, r))
        assert refused(private, ciphertexts, wrong) == 4


def test_a_wrong_plaintext_does_not_hide_behind_a_negated_randomizer(private, ciphertexts, openings: Openings) -> None:
    """-1 has order 2, so n - r may pass for r; no m but the right one passes with it."""
    n = private.public.n
    randomizers = changed(openings.randomizers, 2, n - openings.randomizers[2])
    plaintexts = changed(openings.plaintexts, 2, (openings.plaintexts[2] + 1) % n)
    for _ in range(20):
        assert refused(private, ciphertexts, Openings(plaintexts, randomizers)) == 2


@pytest.mark.parametrize("part", ["plaintexts", "randomizers"])
def test_a_missing_opening_is_refused(private: PrivateKey, ciphertexts, openings: Openings, part: str) -> None:
    with pytest.raises(OpeningInvalid, match=f"each of {COUNT}"):
        verify(private.public, ciphertexts, replace(openings, **{part: getattr(openings, part)[1:]}))


def test_openings_go_through_bytes(private: PrivateKey, openings: Openings) -> None:
    body = openings.to_bytes(private.public)
    assert Openings.from_bytes(private.public, body, COUNT) == openings
    for wrong in (body[:-1], body + b"\0", b""):
        with pytest.raises(OpeningInvalid, match="bytes"):
            Openings.from_bytes(private.public, wrong, COUNT)


def test_a_fault_in_one_half_is_not_handed_out(private, ciphertexts, monkeypatch: pytest.MonkeyPatch) -> None:
    """An n-th root that is right modulo p only gives p away."""
    right = decryption._Half.open

    def faulty(half, ciphertext: int):
        m, r = right(half, ciphertext)
        return (m, r) if half._prime == private.p else (m, r + 1)

    monkeypatch.setattr(decryption._Half, "open", faulty)
    with pytest.raises(OpeningInvalid):
        open_all(private, ciphertexts)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
@pytest.mark.parametrize("bits", [1, 5, 128])
def test_products_of_powers(count: int, bits: int) -> None:
    modulus = 2**127 - 1
    bases = [secrets.randbelow(modulus) for _ in range(count)]
    exponents = [secrets.randbits(bits) for _ in range(count)]
    expected = 1
    for base, exponent in zip(bases, exponents, strict=True):
        expected = expected * pow(base, exponent, modulus) % modulus
    assert product_of_powers(bases, exponents, modulus, exponent_bits=bits) == expected
