"""Protections under which the coordinator learns sums of updates and no single one: what they can be combined with.

A mean needs the sum alone. A robust aggregation compares vectors; here it compares the means of buckets of at least
three organisations, drawn when the round's roster is complete. A hostile organisation spoils its own bucket at most, so
the method must stand as many bad buckets as there are hostile organisations: 2f + 1 buckets for f of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.errors import IncompatibleProtection
from federation.protection.interface import Combination
from privacy.secagg.group import FEWEST, MOST

OVER_BUCKETS = ("median", "trimmed_mean")
"""The robust methods that compare coordinate by coordinate, which the means of buckets stand for."""


@dataclass(frozen=True)
class Masked:
    """Sums only; `frac_bits` as `Protection` says."""

    name: str
    frac_bits: int
    is_masked: bool = True

    def buckets_for(self, combination: Combination) -> int:
        self._require_keys(combination)
        if combination.robust_method is None:
            self._require(combination, FEWEST, "in a sum of two each sees the other's update")
            if combination.participants > MOST:
                raise IncompatibleProtection(
                    f"{combination.participants} organizations cannot mask in one group",
                    expected=f"at most {MOST}",
                    action="Choose RobustAggregator with trimmed_mean, which masks in buckets, or protection plain.",
                )
            return 0
        if combination.robust_method not in OVER_BUCKETS:
            raise IncompatibleProtection(
                f"{combination.robust_method} compares single updates, which nobody sees in a {self.name} round",
                expected=f"FedAvg, FedProx or a server optimizer; or {' or '.join(OVER_BUCKETS)} over buckets",
                action="Choose one of them, or protection plain.",
            )
        buckets = max(combination.minimum, FEWEST)
        self._require(combination, buckets * FEWEST, f"{buckets} buckets of at least {FEWEST} are needed")
        return buckets

    def _require(self, combination: Combination, needed: int, why: str) -> None:
        if combination.participants < needed:
            raise IncompatibleProtection(
                f"{combination.method} under {self.name} needs {needed} organizations: {why}",
                expected=f"at least {needed}, there are {combination.participants}",
                action="Wait for more organizations, choose FedAvg, or protection plain."
                if combination.robust_method
                else "Wait for more organizations, or choose protection plain.",
            )

    def _require_keys(self, combination: Combination) -> None:
        if combination.keyless:
            raise IncompatibleProtection(
                f"{', '.join(combination.keyless)} cannot mask without a key on the chain",
                expected="organizations whose signing keys the others know from the chain",
                action="Suspend them, let them enrol with a key, or choose protection plain.",
            )
