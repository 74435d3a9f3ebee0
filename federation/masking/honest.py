"""How many organisations a sum can be sure to hold the honest noise of."""

from __future__ import annotations

from federation.masking.roster import SMALLEST_GROUP


def counted_on(*, least: int, most: int, buckets: int) -> int:
    """The fewest honest survivors of any group of a masked round.

    Of a group of n at least 2n/3 survive, or it is not unmasked; of these fewer than n/3 collude, as secure aggregation
    has to assume as well (`privacy.secagg.group`).

    Args:
        least: organisations that the round needs.
        most: organisations that may take part.
        buckets: of the round; 0 where all organisations are one group.
    """
    sizes = range(SMALLEST_GROUP, 2 * SMALLEST_GROUP) if buckets else range(max(least, SMALLEST_GROUP), most + 1)
    return min(2 * size // 3 + 1 - (size - 1) // 3 for size in sizes)
