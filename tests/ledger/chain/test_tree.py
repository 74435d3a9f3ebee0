"""Stored trees and their proofs against RFC 6962's own recursive words, for every size up to 70."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import merkle, tree

SIZES = range(1, 71)
LEAVES = [number.to_bytes(2, "big") * (number % 5) for number in range(max(SIZES))]


def split(size: int) -> int:
    return max(1 << power for power in range(10) if 1 << power < size)


def mth(leaves: list[bytes]) -> bytes:
    """MTH(D[n]), section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]), section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], complete: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b), section 2.1.2; PROOF(m, D[n]) is SUBPROOF(m, D[n], true)."""
    if m == len(leaves):
        return [] if complete else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def stored(leaves: list[bytes]) -> dict[int, bytes]:
    frontier = tree.Frontier()
    return dict(enumerate(node for leaf in leaves for node in frontier.append(leaf)))


NODES = stored(LEAVES)
ROOTS = [mth(LEAVES[:size]) for size in range(max(SIZES) + 1)]


def only(spans: list[tuple[int, int]]) -> dict[int, bytes]:
    """What a store would hand out for those spans, and nothing else."""
    return {number: NODES[number] for number in tree.positions_of(spans)}


@pytest.mark.parametrize("size", [0, *SIZES])
def test_root(size: int) -> None:
    spans = tree.whole(size)
    assert tree.hashes_of(spans, only(spans)) == [ROOTS[size]]
    assert tree.Frontier.from_nodes(size, only(spans)).root() == ROOTS[size]
    assert len(only(spans)) == size.bit_count()


@pytest.mark.parametrize("size", SIZES)
def test_inclusion(size: int) -> None:
    for index in range(size):
        spans = tree.inclusion_spans(index, size)
        proof = tree.hashes_of(spans, only(spans))
        assert proof == path(index, LEAVES[:size])
        assert merkle.verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])
        assert len(only(spans)) <= 2 * size.bit_length()


@pytest.mark.parametrize("new", SIZES)
def test_consistency(new: int) -> None:
    for old in range(1, new + 1):
        spans = tree.consistency_spans(old, new)
        proof = tree.hashes_of(spans, only(spans))
        assert proof == subproof(old, LEAVES[:new], True)
        assert merkle.verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])
        assert len(only(spans)) <= 2 * new.bit_length()


@given(st.integers(2, 70), st.data())
def test_a_changed_consistency_proof_proves_nothing(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    spans = tree.consistency_spans(old, new)
    proof = tree.hashes_of(spans, NODES)
    assert not merkle.verify_consistency(old, new, proof, bytes(32), ROOTS[new])
    assert not merkle.verify_consistency(old, new, proof, ROOTS[old], bytes(32))
    assert not merkle.verify_consistency(new, old, proof, ROOTS[new], ROOTS[old])
    assert not merkle.verify_consistency(0, new, proof, ROOTS[0], ROOTS[new])
    assert not merkle.verify_consistency(old, new, [*proof, ROOTS[1]], ROOTS[old], ROOTS[new])
    assert not merkle.verify_consistency(old, new, proof[:-1], ROOTS[old], ROOTS[new])
    assert not merkle.verify_consistency(old, new, [], ROOTS[old], ROOTS[new])
    flipped = data.draw(st.integers(0, len(proof) - 1))
    other = [bytes(32) if number == flipped else node for number, node in enumerate(proof)]
    assert not merkle.verify_consistency(old, new, other, ROOTS[old], ROOTS[new])


@given(st.integers(1, 69), st.integers(1, 70), st.data())
def test_no_proof_joins_two_histories(old: int, new: int, data: st.DataObject) -> None:
    """A leaf changed below the old size: not even the honest proof of the new tree leads back to the old head."""
    if old > new:
        old, new = new, old
    changed = data.draw(st.integers(0, old - 1))
    leaves = [*LEAVES[:changed], b"another", *LEAVES[changed + 1 : new]]
    spans = tree.consistency_spans(old, new)
    proof = tree.hashes_of(spans, stored(leaves))
    assert not merkle.verify_consistency(old, new, proof, ROOTS[old], mth(leaves))


def test_equal_sizes() -> None:
    assert merkle.verify_consistency(5, 5, [], ROOTS[5], ROOTS[5])
    assert not merkle.verify_consistency(5, 5, [], ROOTS[5], ROOTS[4])
    assert not merkle.verify_consistency(5, 5, [ROOTS[5]], ROOTS[5], ROOTS[5])


@given(st.integers(0, 1 << 40), st.integers(0, 40))
def test_positions_are_the_order_of_completion(index: int, level: int) -> None:
    last_leaf = ((index + 1) << level) - 1
    assert tree.position(level, index) == tree.stored_nodes(last_leaf) + level
    assert tree.position(level, index) < tree.stored_nodes(last_leaf + 1)
    assert tree.position(level + 1, index >> 1) > tree.position(level, index)


def test_a_frontier_continues_where_a_store_ends() -> None:
    for size in range(60):
        frontier = tree.Frontier.from_nodes(size, NODES)
        completed = frontier.append(LEAVES[size])
        first = tree.stored_nodes(size)
        assert completed == [NODES[first + number] for number in range(len(completed))]
        assert (frontier.size, frontier.root()) == (size + 1, ROOTS[size + 1])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_such_leaf(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        tree.inclusion_spans(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (-1, 3), (4, 3)])
def test_no_such_sizes(old: int, new: int) -> None:
    with pytest.raises(IndexError):
        tree.consistency_spans(old, new)
