"""What a group of checks comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Broken(Exception):
    """Something that a group tried does not hold; the text says what, and what was seen."""


@dataclass(frozen=True)
class Outcome:
    """A group: whether everything in it held, and what was shown or is wrong."""

    group: str
    holds: bool
    evidence: str
    seconds: float


def require(holds: bool, what: str, seen: object = "") -> None:
    """Raises Broken unless it holds."""
    if not holds:
        raise Broken(f"{what}: {seen}" if seen != "" else what)


Group = Callable[[], str]
"""Does its part and says what it has shown; raises what it finds."""
