"""`python -m benchmarks.masked_agent ...`: flxdr-agent with one more task, whose training takes no time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models_ml import tasks
from models_ml.codec import Int32
from models_ml.tasks import LocalUpdate

MODEL_NAME = "global"
LARGEST_CHANGE = 1000
SAMPLES = 1000


class Ready:
    """Random updates of whatever model the round starts from."""

    model_name = MODEL_NAME
    score_name = "score"
    example_unit: str | None = None

    def train(self, parent: Mapping[str, Int32], *_: Any, **__: Any) -> LocalUpdate:
        """Small random changes; the parent decides the shapes."""
        rng = np.random.default_rng()
        delta = {
            name: rng.integers(-LARGEST_CHANGE, LARGEST_CHANGE, values.shape, dtype=np.int32)
            for name, values in parent.items()
        }
        return LocalUpdate(delta, SAMPLES, {})

    def train_privately(self, *_: Any, **__: Any) -> LocalUpdate:
        """Not asked for: the measured rounds add no noise."""
        raise NotImplementedError

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Every model is as good as its parent."""
        return {self.score_name: 1.0}


if __name__ == "__main__":
    # Before the agent is imported, which takes the mapping as it finds it.
    tasks.TASKS = {**tasks.TASKS, MODEL_NAME: Ready()}
    from federation.agent.cli import main

    main()
