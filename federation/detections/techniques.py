"""Which technique of ATT&CK a family of traffic stands for.

A family is coarser than a technique: this names the one that the traffic of the family shows, not how it was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from privacy.sanitize.attack import Catalogue, Category

TECHNIQUES: Mapping[str, str] = MappingProxyType(
    {
        "C2": "T1071",
        "DDoS": "T1498",
        "Scan": "T1046",
        "ExternalAttack": "T1190",
        "FileDownload": "T1105",
        "Exfiltration": "T1048",
        "BruteForce": "T1110",
        "LateralMovement": "T1021",
    }
)
"""ATT&CK ids by family; every family but `Benign` has one."""


@cache
def technique_of(family: str) -> Category:
    """The technique of a family, with the name and the tactics of ATT&CK's own table.

    Raises:
        KeyError: `Benign`, or no family.
    """
    return Catalogue.vendored().find(TECHNIQUES[family])


def tactics_of(family: str) -> tuple[str, ...]:
    """The tactics that a family's technique serves; none for what is no family of attack."""
    return technique_of(family).tactics if family in TECHNIQUES else ()
