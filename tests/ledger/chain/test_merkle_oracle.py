"""The tree against an implementation by others: pymerkle's, whose tree of SHA-256 with prefixes is that of RFC 6962."""

from __future__ import annotations

from pymerkle import InmemoryTree, verify_consistency, verify_inclusion

from ledger.chain import merkle, tree

LEAVES = [f"header {number}".encode() * (number % 4 + 1) for number in range(70)]


def theirs() -> InmemoryTree:
    other = InmemoryTree(algorithm="sha256")
    for leaf in LEAVES:
        other.append_entry(leaf)
    return other


def nodes() -> dict[int, bytes]:
    frontier = tree.Frontier()
    return dict(enumerate(node for leaf in LEAVES for node in frontier.append(leaf)))


def test_roots() -> None:
    other, stored = theirs(), nodes()
    for size in range(1, len(LEAVES) + 1):
        (root,) = tree.hashes_of(tree.whole(size), stored)
        assert root == merkle.root(LEAVES[:size]) == other.get_root(size)


def test_their_proofs_hold_for_our_roots_and_inclusion_paths_are_ours() -> None:
    """Their consistency proofs have a form of their own; ours are held against RFC 6962's words in `test_tree`."""
    other, stored = theirs(), nodes()
    for size in range(1, len(LEAVES) + 1, 3):
        root = merkle.root(LEAVES[:size])
        for height in range(size):
            proof = other.prove_inclusion(height + 1, size)
            verify_inclusion(merkle.leaf_hash(LEAVES[height]), root, proof, height + 1, size)
            assert proof.path[1:] == tree.hashes_of(tree.inclusion_spans(height, size), stored)
        for old in range(1, size + 1):
            verify_consistency(merkle.root(LEAVES[:old]), root, other.prove_consistency(old, size), old, size)
