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
    fewest = SMALLEST_GROUP if buckets else max(least, SMALLEST_GROUP)
    largest = 2 * SMALLEST_GROUP - 1 if buckets else max(most, fewest)
    sizes = range(fewest, min(largest, fewest + 2) + 1)  # three more organisations are one more honest one
    return min(2 * size // 3 + 1 - (size - 1) // 3 for size in sizes)
