"""The steps of a masked collection; each ends when everybody whom it asks has answered, or at its deadline."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """What the organisations of a masked round are asked for.

    A step asks those who answered the one before it; who does not answer in time has dropped out.
    """

    ADVERTISE = "advertise"
    SHARES = "shares"
    MASKED_INPUT = "masked_input"
    CONSISTENCY = "consistency"
    UNMASK = "unmask"
    OPEN = "open"
    """Of Paillier rounds alone: it asks those who hold the key, and the first opening that is right ends it."""

    @property
    def following(self) -> Step | None:
        """The step after this one; None where the coordinator has something to compute first."""
        steps = list(Step)[:-1]
        place = steps.index(self) + 1 if self in steps else len(steps)
        return steps[place] if place < len(steps) else None
