"""What rounds ask of the local training."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.env.modes import DEVELOPMENT, PRODUCTION
from flxdr.platform.configuration import integer, matching, real, variable

GROUP = "Training"


@dataclass(frozen=True)
class Training:
    """The group *Training*."""

    training_rounds: int = variable(
        "FL_TRAINING_ROUNDS", integer(1, 100_000), "10", "rounds of a campaign", group=GROUP
    )
    batch_size: int = variable(
        "FL_BATCH_SIZE", integer(1, 1_000_000), "32", "local batch size of an organisation", group=GROUP
    )
    learning_rate: float = variable(
        "FL_LEARNING_RATE", real(above=0, at_most=100), "0.01", "local learning rate", group=GROUP
    )
    default_model: str = variable(
        "FL_DEFAULT_MODEL",
        matching(r"[a-z0-9][a-z0-9-]{0,63}", "a model's name: lower-case letters, digits and dashes"),
        {DEVELOPMENT: "global", PRODUCTION: "edge-classifier"},
        "model of a round or status request that names none; `global` is for one's own programs, whose updates carry "
        "no noise of training",
        group=GROUP,
    )
