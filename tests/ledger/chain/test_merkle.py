"""Merkle trees against RFC 6962: its own recursive words, and the roots that Certificate Transparency publishes."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import merkle

# Inputs and roots of the public Certificate Transparency test tree.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
leaf_lists = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


def by_the_book(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) as section 2.1 writes it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = max(2**power for power in range(10) if 2**power < len(leaves))
    return hashlib.sha256(b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_public_roots(size: int) -> None:
    assert merkle.root(INPUTS[:size]).hex() == ROOTS[size]


@given(leaf_lists)
def test_root_is_the_books(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == by_the_book(leaves)


@given(leaf_lists, st.data())
def test_every_leaf_has_a_proof(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.inclusion_proof(leaves, index)
    root = merkle.root(leaves)
    assert len(proof) <= (len(leaves) - 1).bit_length()
    assert merkle.verify_inclusion(leaves[index], index, len(leaves), proof, root)


@given(leaf_lists, st.data())
def test_a_changed_proof_proves_nothing(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.inclusion_proof(leaves, index)
    root = merkle.root(leaves)
    size = len(leaves)
    assert not merkle.verify_inclusion(leaves[index] + b"x", index, size, proof, root)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*proof, root], root)
    assert not merkle.verify_inclusion(leaves[index], size, size, proof, root)
    assert not merkle.verify_inclusion(leaves[index], -1, size, proof, root)
    assert not merkle.verify_inclusion(leaves[index], index, size, proof, bytes(32))
    if proof:
        assert not merkle.verify_inclusion(leaves[index], index, size, proof[:-1], root)
        flipped = data.draw(st.integers(0, len(proof) - 1))
        other = [bytes(32) if number == flipped else node for number, node in enumerate(proof)]
        assert not merkle.verify_inclusion(leaves[index], index, size, other, root)


@given(st.integers(2, 40), st.data())
def test_a_proof_is_for_one_place(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(size)]
    index, other = data.draw(st.permutations(range(size)))[:2]
    proof = merkle.inclusion_proof(leaves, index)
    assert not merkle.verify_inclusion(leaves[index], other, size, proof, merkle.root(leaves))


@pytest.mark.parametrize("index", [-1, 3])
def test_no_such_leaf(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_proof([b"a", b"b", b"c"], index)


def test_a_node_is_no_leaf() -> None:
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.root([left + right]) != merkle.root([b"a", b"b"])
