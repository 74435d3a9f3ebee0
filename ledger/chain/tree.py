"""A growing Merkle tree (RFC 6962) from the hashes of its complete subtrees.

A subtree is complete when it spans 2^level leaves; from then on its hash never changes. The complete subtrees are
numbered in the order in which they complete (post-order, as in a Merkle mountain range: Crosby and Wallach, "Efficient
Data Structures for Tamper-Evident Logging", 2009), so a store of them only ever grows at its end. The head of any
earlier size and every proof are made of O(log n) of them.

`nodes` below maps positions to hashes and has to hold at least what `positions_of` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from ledger.chain.merkle import leaf_hash, node_hash, split

Span = tuple[int, int]
"""Leaves from the first to before the second: a subtree of the tree of some size."""


def position(level: int, index: int) -> int:
    """The number of the complete subtree over leaves `index * 2^level` to before `(index + 1) * 2^level`."""
    last = ((index + 1) << level) - 1
    return stored_nodes(last) + level


def stored_nodes(size: int) -> int:
    """How many complete subtrees a tree of `size` leaves has."""
    return 2 * size - size.bit_count()


def whole(size: int) -> list[Span]:
    """The span whose hash is the tree's head."""
    return [(0, size)]


def inclusion_spans(index: int, size: int) -> list[Span]:
    """The subtrees of PATH(index, D[size]) from the leaf upwards (RFC 6962, section 2.1.1).

    Raises:
        IndexError: no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} of {size}")
    spans: list[Span] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + split(end - begin)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """The subtrees of PROOF(old, D[new]) (RFC 6962, section 2.1.2); none if the sizes are equal.

    Raises:
        IndexError: `old` is none of the sizes from 1 to `new`.
    """
    if not 0 < old <= new:
        raise IndexError(f"size {old} of {new}")
    spans: list[Span] = []
    begin, end = 0, new
    while end != old:
        middle = begin + split(end - begin)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((begin, middle))
            begin = middle
    if begin > 0:  # else the old tree is a subtree of the new one, and the verifier has its head
        spans.append((begin, end))
    return spans[::-1]


def positions_of(spans: Iterable[Span]) -> list[int]:
    """The complete subtrees that those spans consist of."""
    return [number for begin, end in spans for number in _peaks(begin, end)]


def hashes_of(spans: Iterable[Span], nodes: Mapping[int, bytes]) -> list[bytes]:
    """The hash of each span.

    Raises:
        KeyError: `nodes` lacks a position of `positions_of(spans)`.
    """
    return [_fold([nodes[number] for number in _peaks(begin, end)]) for begin, end in spans]


class Frontier:
    """The right edge of a tree that grows leaf by leaf: all that its head depends on, O(log n) hashes."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size = size
        self._peaks = list(peaks)

    @property
    def peaks(self) -> Sequence[bytes]:
        """The hashes of the complete subtrees that make up the tree, left to right."""
        return tuple(self._peaks)

    @classmethod
    def from_nodes(cls, size: int, nodes: Mapping[int, bytes]) -> Frontier:
        """The frontier of a stored tree.

        Raises:
            KeyError: `nodes` lacks a position of `positions_of(whole(size))`.
        """
        return cls(size, [nodes[number] for number in _peaks(0, size)])

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a leaf; the hashes of the subtrees that it completes, in the order of their positions."""
        current = leaf_hash(leaf)
        completed = [current]
        left_siblings = self.size
        while left_siblings & 1:
            current = node_hash(self._peaks.pop(), current)
            completed.append(current)
            left_siblings >>= 1
        self._peaks.append(current)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The tree head."""
        return _fold(self._peaks)


def _peaks(begin: int, end: int) -> list[int]:
    """The complete subtrees of a span, left to right. A span of a tree starts at a multiple of its largest one."""
    found: list[int] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        found.append(position(level, begin >> level))
        begin += 1 << level
    return found


def _fold(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        return sha256().digest()
    current = peaks[-1]
    for left in reversed(peaks[:-1]):
        current = node_hash(left, current)
    return current
