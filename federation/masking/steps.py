"""The steps of a masked collection; each ends when everybody whom it asks has answered, or at its deadline."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from federation.round_config import RoundConfig


class Step(StrEnum):
    """What the organisations of a masked round are asked for.

    A step asks those who answered the one before it; who does not answer in time has dropped out.
    """

    ADVERTISE = "advertise"
    REVEAL = "reveal"
    """Of bucketed rounds alone: the numbers from which the buckets are drawn (`draw`)."""
    SHARES = "shares"
    MASKED_INPUT = "masked_input"
    CONSISTENCY = "consistency"
    UNMASK = "unmask"
    OPEN = "open"
    """Of Paillier rounds alone: it asks those who hold the key, and the first opening that is right ends it."""


def steps_of(config: RoundConfig) -> Sequence[Step]:
    """The steps of a round, in order."""
    absent = {Step.REVEAL: not config.masking_buckets, Step.OPEN: not config.modulus_bits}
    return [step for step in Step if not absent.get(step)]


def following(step: Step, config: RoundConfig) -> Step | None:
    """The step after `step`; None after the last, and where the coordinator has sums to compute first."""
    if step in (Step.UNMASK, Step.OPEN):
        return None
    steps = steps_of(config)
    return steps[steps.index(step) + 1]
