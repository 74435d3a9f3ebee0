"""Ciphertexts against phe, their arithmetic, and what is refused."""

from __future__ import annotations

import secrets

import numpy as np
import phe
import pytest

from privacy.paillier.decryption import open_all
from privacy.paillier.encryption import add, encrypt, parse, shift
from privacy.paillier.errors import CiphertextInvalid
from privacy.paillier.keys import PrivateKey
from privacy.paillier.randomizers import RandomPowers
from tests.privacy.paillier.conftest import BITS

WIDTH = BITS // 4


@pytest.fixture(scope="session")
def oracle(private: PrivateKey) -> phe.PaillierPrivateKey:
    return phe.PaillierPrivateKey(phe.PaillierPublicKey(private.public.n), int(private.p), int(private.q))


def residues(private: PrivateKey, count: int) -> list[int]:
    return [0, 1, private.public.n - 1, *(secrets.randbelow(private.public.n) for _ in range(count - 3))]


def encrypted(private: PrivateKey, plaintexts: list[int]) -> list[int]:
    return parse(private.public, encrypt(private.public, plaintexts), len(plaintexts))


def test_phe_decrypts_ours(private: PrivateKey, oracle: phe.PaillierPrivateKey) -> None:
    plaintexts = residues(private, 20)
    assert [oracle.raw_decrypt(c) for c in encrypted(private, plaintexts)] == plaintexts


def test_we_decrypt_phes(private: PrivateKey, oracle: phe.PaillierPrivateKey) -> None:
    plaintexts = residues(private, 20)
    theirs = [oracle.public_key.raw_encrypt(m) for m in plaintexts]
    assert open_all(private, theirs).plaintexts == tuple(plaintexts)


def test_plaintexts_are_taken_modulo_n(private: PrivateKey) -> None:
    n = private.public.n
    assert open_all(private, encrypted(private, [-5, n, n + 7, 3 * n - 1])).plaintexts == (n - 5, 0, 7, n - 1)


def test_processes_share_the_work_in_order(private: PrivateKey, oracle: phe.PaillierPrivateKey) -> None:
    plaintexts = residues(private, 7)
    body = encrypt(private.public, plaintexts, processes=2)
    ciphertexts = parse(private.public, body, 7)
    assert [oracle.raw_decrypt(c) for c in ciphertexts] == plaintexts
    assert open_all(private, ciphertexts, processes=2) == open_all(private, ciphertexts)


def test_nothing_encrypts_to_nothing(private: PrivateKey) -> None:
    assert encrypt(private.public, []) == b""
    assert parse(private.public, b"", 0) == []


def test_equal_plaintexts_have_different_ciphertexts(private: PrivateKey) -> None:
    ciphertexts = encrypted(private, [42] * 20) + encrypted(private, [42] * 20)
    assert len(set(ciphertexts)) == 40


def test_sums_are_exact(private: PrivateKey) -> None:
    n, parties = private.public.n, [residues(private, 6) for _ in range(5)]
    total = add(private.public, [encrypted(private, plaintexts) for plaintexts in parties])
    expected = tuple(sum(column) % n for column in zip(*parties, strict=True))
    assert open_all(private, total).plaintexts == expected


def test_sums_take_parties_one_at_a_time(private: PrivateKey) -> None:
    columns = (encrypted(private, [party, 10 * party]) for party in (1, 2, 3))
    assert open_all(private, add(private.public, columns)).plaintexts == (6, 60)


def test_parties_with_different_numbers_of_ciphertexts_do_not_add(private: PrivateKey) -> None:
    with pytest.raises(ValueError, match="shorter"):
        add(private.public, [encrypted(private, [1, 2]), encrypted(private, [1])])


def test_shifts_add_public_amounts(private: PrivateKey) -> None:
    n = private.public.n
    shifted = shift(private.public, encrypted(private, [5, 5, 5, n - 1]), [0, -6, n + 1, 1])
    assert open_all(private, shifted).plaintexts == (5, n - 1, 6, 0)


def test_a_number_outside_the_group_is_refused(private: PrivateKey) -> None:
    n, p = private.public.n, int(private.p)
    good = encrypted(private, [1, 2, 3])
    for wrong in (0, n, p, 3 * p, p * p, n * (n - 1), n**2, n**2 + 1, 2 ** (8 * WIDTH) - 1):
        for index in range(3):
            numbers = [*good[:index], wrong, *good[index + 1 :]]
            with pytest.raises(CiphertextInvalid) as caught:
                parse(private.public, b"".join(number.to_bytes(WIDTH) for number in numbers), 3)
            assert caught.value.fields == {"index": index}


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"\0", lambda body: body[WIDTH:]])
def test_a_body_of_another_length_is_refused(private: PrivateKey, change) -> None:
    with pytest.raises(CiphertextInvalid, match="bytes"):
        parse(private.public, change(encrypt(private.public, [1, 2])), 2)


@pytest.mark.parametrize("count", [1, 100, 10_000])
@pytest.mark.parametrize("exponent_bits", [1, 96, 100, 1024])
def test_the_table_makes_the_power_that_its_digits_say(count: int, exponent_bits: int) -> None:
    modulus = 2**127 - 1
    powers = RandomPowers(3, modulus, exponent_bits, count=count)
    teeth, columns = powers.teeth, powers.columns
    digits = [[secrets.randbelow(1 << teeth) for _ in range(8)] for _ in range(columns)]
    exponent = sum(
        (digits[columns - 1 - c][block] >> tooth & 1) << ((tooth * 8 + block) * columns + c)
        for c in range(columns)
        for block in range(8)
        for tooth in range(teeth)
    )
    assert teeth * 8 * columns >= exponent_bits
    assert powers.power(digits) == pow(3, exponent, modulus)


class Drawn(RandomPowers):
    """Shows the digits instead of the power."""

    def power(self, columns):
        return columns


def test_every_bit_of_a_random_exponent_varies() -> None:
    powers = Drawn(3, 2**127 - 1, 512, count=100)
    drawn = np.array([powers.draw() for _ in range(200)])
    every_bit = (1 << powers.teeth) - 1
    assert (np.bitwise_or.reduce(drawn) == every_bit).all()
    assert (np.bitwise_or.reduce(~drawn & every_bit) == every_bit).all()
