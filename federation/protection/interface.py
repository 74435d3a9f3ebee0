"""What a protection is: what the coordinator sees of an update, and with which aggregations that can be combined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Combination:
    """What a protection is to be combined with when a round is configured.

    Attributes:
        method: the aggregation method, for messages.
        robust_method: None for the methods that need nothing but the weighted mean.
        minimum: the fewest vectors that the method can combine.
        participants: how many organisations would take part.
        keyless: those of them that have no key on the chain.
    """

    method: str
    robust_method: str | None
    minimum: int
    participants: int
    keyless: tuple[str, ...]


class Protection(Protocol):
    """One way of keeping single updates from the coordinator, or of not doing so.

    `frac_bits` is the fixed point in which updates leave an organisation: units of 2^-frac_bits. `is_masked` tells
    whether the coordinator learns sums only, and therefore collects in the steps of `federation.masking`.
    """

    @property
    def name(self) -> str:
        """What a round's configuration calls it."""

    @property
    def frac_bits(self) -> int: ...

    @property
    def is_masked(self) -> bool: ...

    def buckets_for(self, combination: Combination) -> int:
        """How many buckets of organisations a round needs; 0 where they are not divided.

        Raises:
            IncompatibleProtection: what cannot be combined, with the reason and what to choose instead.
        """
