"""No protection: the coordinator sees every update in the clear, and can therefore check and compare all of them.

What leaves an organisation is still only its update, signed by it; noise (if the round asks for it) was added there.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.protection.interface import Combination
from models_ml.fixed_point import FRAC_BITS


@dataclass(frozen=True)
class Plain:
    """Every aggregation works on clear updates."""

    name: str = "plain"
    frac_bits: int = FRAC_BITS
    is_masked: bool = False

    def buckets_for(self, combination: Combination) -> int:
        return 0
