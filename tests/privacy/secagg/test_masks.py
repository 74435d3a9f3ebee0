"""Masks against AES-256-CTR, and against everything that would let a vector shine through."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from scipy import stats

from privacy.errors import MaskedVectorInvalid
from privacy.secagg import client, masks, ring
from tests.privacy.secagg.parties import Federation

SEED = hashlib.sha256(b"seed").digest()
BLOCK = 1 << 16


def expanded(seed: bytes, label: bytes) -> bytes:
    """HKDF-SHA256 as RFC 5869 writes it, for one block."""
    extracted = hmac.digest(bytes(32), seed, "sha256")
    parts = (b"flxdr secure aggregation v1", label)
    info = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return hmac.digest(extracted, info + b"\1", "sha256")


def keystream(seed: bytes, bits: int, count: int) -> NDArray[Any]:
    key = expanded(seed, f"{bits}-bit words".encode())
    data = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(count * bits // 8))
    return np.frombuffer(data, dtype=f"<u{bits // 8}")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("size", [0, 1, 3, BLOCK // 4, BLOCK // 4 + 1, 5 * BLOCK // 4 - 1, 100_003])
def test_a_mask_is_one_keystream_from_start_to_end(bits: int, size: int) -> None:
    vector = np.arange(size, dtype=f"<u{bits // 8}")
    masks.add(vector, [(SEED, 1)])
    assert np.array_equal(vector, np.arange(size, dtype=vector.dtype) + keystream(SEED, bits, size))


@pytest.mark.parametrize("bits", [32, 64])
def test_signs_and_subtraction(bits: int) -> None:
    other = hashlib.sha256(b"other").digest()
    vector = np.zeros(70_000, dtype=f"<u{bits // 8}")
    masks.add(vector, [(SEED, 1), (other, -1)])
    assert np.array_equal(vector, keystream(SEED, bits, 70_000) - keystream(other, bits, 70_000))
    masks.subtract(vector, iter([(SEED, 1), (other, -1)]))
    assert not vector.any()


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for cores in (1, 2, 3, 64):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        vector = np.zeros(100_003, dtype="<u4")
        masks.add(vector, [(SEED, 1)])
        found.append(vector)
    assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(4, dtype="<i4"),
        np.zeros(4, dtype="<f4"),
        np.zeros(4, dtype="<u2"),
        np.zeros(4, dtype=">u4"),
        np.zeros(4, dtype=">u8"),
        np.zeros((2, 2), dtype="<u4"),
        np.zeros(8, dtype="<u4")[::2],
        np.frombuffer(bytes(16), dtype="<u4"),
    ],
    ids=["signed", "float", "16 bits", "big-endian", "big-endian 64", "matrix", "strided", "read-only"],
)
def test_other_vectors_are_refused(vector: NDArray[Any]) -> None:
    with pytest.raises(MaskedVectorInvalid):
        masks.add(vector, [(SEED, 1)])


@pytest.mark.parametrize("bits", [32, 64])
def test_masked_vectors_are_uniform_whatever_they_hide(bits: int) -> None:
    """All bytes of the words, for three very different inputs of the same party in different rounds."""
    size = 60_000
    inputs = [np.zeros(size), np.full(size, -1), np.arange(size) % 7 - 3]
    for number, values in enumerate(inputs):
        federation = Federation(3, label=f"round {number} of {bits} ")
        masked = federation.masked("org-001", ring.to_ring(values.astype(np.int64), bits), federation.names)
        for byte in masked.view(np.uint8).reshape(size, -1).T:
            assert stats.chisquare(np.bincount(byte, minlength=256)).pvalue > 1e-4


def test_masked_vectors_are_independent_of_their_input() -> None:
    """A contingency table of what was hidden and what is seen, in the lowest and in the highest bits."""
    size = 100_000
    values = (np.arange(size) * 7919 % 8).astype(np.int64)
    federation = Federation(3, label="independent ")
    masked = federation.masked("org-000", ring.to_ring(values, 32), federation.names)
    for seen in (masked % 8, masked >> np.uint32(29)):
        table = np.bincount(values * 8 + seen.astype(np.int64), minlength=64).reshape(8, 8)
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_neither_mask_alone_opens_a_vector() -> None:
    """Without the party's own mask, or without one pairwise mask, what is left is still uniform."""
    federation = Federation(4, label="alone ")
    seeds = client.mask_seeds(federation.secrets["org-002"], "org-002", federation.group, federation.names)
    masked = federation.masked("org-002", np.zeros(60_000, dtype="<u4"), federation.names)
    for known in range(len(seeds)):
        left = masked.copy()
        masks.subtract(left, seeds[:known] + seeds[known + 1 :])
        assert stats.chisquare(np.bincount(left.view(np.uint8), minlength=256)).pvalue > 1e-4


def test_seeds_are_not_folded() -> None:
    """Two seeds whose 32-bit words have the same exclusive or, in another order or with a pair of flipped bits."""
    flipped = bytearray(SEED)
    flipped[0] ^= 1
    flipped[4] ^= 1
    found = set()
    for seed in (SEED, SEED[4:] + SEED[:4], bytes(flipped)):
        vector = np.zeros(4, dtype="<u4")
        masks.add(vector, [(seed, 1)])
        found.add(vector.tobytes())
    assert len(found) == 3


def test_no_keystream_is_used_twice() -> None:
    """Over rounds of the same and of other seeds, groups of one roster, parties, peers and purposes."""
    federations = [
        Federation(5),
        Federation(5, context=bytes(32)),
        Federation(4),
        Federation(5, label="another round "),
    ]
    own, pairwise = [], []
    for federation in federations:
        for name in federation.names:
            first, *others = client.mask_seeds(federation.secrets[name], name, federation.group, federation.names)
            own.append(first[0])
            pairwise += [seed for seed, _ in others]
    assert len(set(own)) == len(own)
    assert len(set(pairwise)) == len(pairwise) // 2  # the two of a pair, and nobody else
    assert not set(own) & set(pairwise)


def test_words_of_either_width_and_residues_share_nothing() -> None:
    narrow, wide = np.zeros(4, dtype="<u4"), np.zeros(2, dtype="<u8")
    masks.add(narrow, [(SEED, 1)])
    masks.add(wide, [(SEED, 1)])
    residue = masks.residues(SEED, 1, 2**128)[0]
    assert narrow.tobytes() != wide.tobytes()
    assert residue.to_bytes(16, "big") not in {narrow.tobytes(), wide.tobytes()}


@pytest.mark.parametrize("modulus", [3, 2**16 + 1, 3 << 3070])
def test_residues_are_uniform_below_the_modulus(modulus: int) -> None:
    drawn = masks.residues(SEED, 6000, modulus)
    assert all(0 <= residue < modulus for residue in drawn)
    thirds = np.bincount([residue * 3 // modulus for residue in drawn], minlength=3)
    assert stats.chisquare(thirds).pvalue > 1e-3
    assert masks.residues(SEED, 10, modulus) == drawn[:10]
    assert masks.residues(SEED, 10, modulus + 1) != drawn[:10]
