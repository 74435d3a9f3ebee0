"""The stored Merkle tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.db.models import Max

from ledger.chain.tree import Span, positions_of
from ledger.errors import TreeDamaged
from ledger.models import TreeNode

NODES_PER_QUERY = 2000


def tree_nodes(spans: Iterable[Span]) -> dict[int, bytes]:
    """The complete subtrees that those spans consist of, read in one query.

    Raises:
        TreeDamaged: one is not there.
    """
    positions = positions_of(spans)
    rows = TreeNode.objects.filter(position__in=positions).values_list("position", "hash")
    nodes = {position: bytes(hash_) for position, hash_ in rows}
    missing = [position for position in positions if position not in nodes]
    if missing:
        raise TreeDamaged(
            f"the stored tree has no node {missing[0]}",
            action="Run `manage.py verify_chain`; the blocks themselves can be exported and verified.",
        )
    return nodes


def stored_tree(first: int, last: int) -> list[bytes]:
    """The nodes from position `first` to `last`, in order."""
    rows = TreeNode.objects.filter(position__gte=first, position__lte=last).order_by("position")
    return [bytes(hash_) for hash_ in rows.values_list("hash", flat=True)]


def newest_tree_position() -> int:
    """Position of the newest stored node; -1 of none."""
    newest = TreeNode.objects.aggregate(newest=Max("position"))["newest"]
    return -1 if newest is None else int(newest)


def tree_rows(first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """Position and hash of the stored nodes from position `first` to `last`, in order, in constant memory."""
    after = first - 1
    while batch := list(
        TreeNode.objects.filter(position__gt=after, position__lte=last)
        .order_by("position")
        .values_list("position", "hash")[:NODES_PER_QUERY]
    ):
        yield from ((position, bytes(hash_)) for position, hash_ in batch)
        after = batch[-1][0]
