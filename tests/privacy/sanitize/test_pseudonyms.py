"""Pseudonyms: the same inside an organisation, unrelated between two, and prefixes kept where that is asked for."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.sanitize.crypto_pan import CryptoPan
from privacy.sanitize.kinds import TOKEN, Kind
from privacy.sanitize.pseudonyms import Pseudonyms
from tests.privacy.sanitize.keys import OURS, SECRET, THEIRS

# The sample key and trace of the authors' implementation, Crypto-PAn 1.0.
SAMPLE_KEY = bytes.fromhex(
    "15 22 17 8d 33 a4 cf 80 13 0a 5b 16 49 90 7d 10 d8 98 8f 83 79 79 65 27 62 57 4c 2d 2a 84 22 02"
)
SAMPLES = {
    "128.11.68.132": "135.242.180.132",
    "129.118.74.4": "134.136.186.123",
    "130.132.252.244": "133.68.164.234",
    "141.223.7.43": "141.167.8.160",
}


def test_the_published_vectors_come_out() -> None:
    addresses = np.array([int(IPv4Address(text)) for text in SAMPLES], dtype=np.uint32)
    result = CryptoPan(SAMPLE_KEY).ipv4(addresses)
    assert [str(IPv4Address(int(value))) for value in result] == list(SAMPLES.values())


def shared_bits(left: int, right: int, width: int) -> int:
    return width - (left ^ right).bit_length()


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_shared_prefixes_of_ipv4_stay_exactly_as_long(left: int, other: int, keep: int) -> None:
    right = (left >> (32 - keep) << (32 - keep)) | (other & ((1 << (32 - keep)) - 1))
    mapped = CryptoPan(SECRET).ipv4(np.array([left, right], dtype=np.uint32))
    assert shared_bits(int(mapped[0]), int(mapped[1]), 32) == shared_bits(left, right, 32)


def test_shared_prefixes_of_ipv6_stay_exactly_as_long() -> None:
    base = int(IPv6Address("2001:db8:1:2:3:4:5:6"))
    addresses = [base] + [base ^ (1 << bit) for bit in range(128)]
    packed = np.frombuffer(b"".join(value.to_bytes(16, "big") for value in addresses), dtype=np.uint8).reshape(-1, 16)
    mapped = [int.from_bytes(row.tobytes(), "big") for row in CryptoPan(SECRET).ipv6(packed)]
    assert [shared_bits(mapped[0], value, 128) for value in mapped[1:]] == [127 - bit for bit in range(128)]


def test_more_addresses_than_one_chunk_holds_come_out_as_one_by_one() -> None:
    addresses = np.arange(3000, dtype=np.uint32) * np.uint32(1_431_655)
    pan = CryptoPan(SECRET)
    assert np.array_equal(pan.ipv4(addresses), np.concatenate([pan.ipv4(part) for part in np.split(addresses, 3000)]))
    assert len(np.unique(pan.ipv4(addresses))) == 3000


@pytest.mark.parametrize(
    ("kind", "left", "right"),
    [
        (Kind.IPV4, "10.0.0.1", "010.0.00.1"),
        (Kind.IPV6, "2001:DB8::1", "2001:db8:0:0:0:0:0:1"),
        (Kind.MAC, "00:1A:2b:3c:4d:5e", "001a.2b3c.4d5e"),
        (Kind.EMAIL, "Alice@Corp.example", "alice@corp.example"),
        (Kind.IBAN, "DE89 3704 0044 0532 0130 00", "de89370400440532013000"),
        (Kind.PHONE, "+49 (30) 1234567", "+49 30 1234567"),
        (Kind.HOST, "WS5.corp.example.", "ws5.corp.example"),
    ],
)
def test_an_identifier_has_one_pseudonym_in_all_spellings(kind: Kind, left: str, right: str) -> None:
    assert OURS.of(kind, left) == OURS.of(kind, right)
    assert TOKEN.fullmatch(OURS.of(kind, left))


def test_two_organisations_have_no_pseudonym_in_common() -> None:
    names = [f"host{number}.corp.example" for number in range(2000)]
    ours, theirs = ({each.of(Kind.HOST, name) for name in names} for each in (OURS, THEIRS))
    assert len(ours) == len(theirs) == 2000
    assert not ours & theirs


def test_kinds_do_not_share_pseudonyms() -> None:
    digits = {OURS.of(kind, "alice").partition(":")[2] for kind in (Kind.USER, Kind.PATH, Kind.HOST, Kind.EMAIL)}
    assert len(digits) == 4


def test_addresses_keep_their_subnets_where_that_is_asked_for() -> None:
    preserving = Pseudonyms(SECRET, prefix_preserving=True)
    first, second = (preserving.of(Kind.IPV4, text) for text in ("10.1.2.3", "10.1.2.200"))
    assert first.rpartition(".")[0] == second.rpartition(".")[0]
    assert first != second
    assert "10.1.2" not in first
    assert TOKEN.fullmatch(preserving.of(Kind.IPV6, "2001:db8::1"))


def test_a_secret_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        Pseudonyms(bytes(31))
    with pytest.raises(ValueError, match="16 bytes"):
        CryptoPan(bytes(16))
