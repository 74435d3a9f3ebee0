"""How many organisations a sum can be sure to hold the honest noise of."""

from __future__ import annotations

from privacy.secagg.group import FEWEST


def counted_on(*, least: int, most: int, buckets: int) -> int:
    """The fewest honest survivors of any group of a masked round.

    Of a group of n at least 2n/3 survive, or it is not unmasked; of these fewer than n/3 collude, as secure aggregation
    has to assume as well (`privacy.secagg.group`).

    Args:
        least: organisations that the round needs.
        most: organisations that may take part.
        buckets: of the round; 0 where all organisations are one group.
    """
    fewest = FEWEST if buckets else max(least, FEWEST)
    largest = 2 * FEWEST - 1 if buckets else max(most, fewest)
    sizes = range(fewest, min(largest, fewest + 2) + 1)  # three more organisations are one more honest one
    return min(2 * size // 3 + 1 - (size - 1) // 3 for size in sizes)
