"""A ring of transitions to learn from again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from models_ml.response.actions import ACTIONS
from models_ml.response.alerts import STATE


@dataclass(frozen=True, eq=False)
class Transitions:
    """Columns (n, ...) of what was seen, done, received and seen next; `allowed` as of `masks.allowed`."""

    states: npt.NDArray[np.float32]
    allowed: npt.NDArray[np.bool_]
    actions: npt.NDArray[np.int64]
    rewards: npt.NDArray[np.float32]
    next_states: npt.NDArray[np.float32]
    next_allowed: npt.NDArray[np.bool_]
    done: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.actions)

    def select(self, which: npt.NDArray[Any] | slice) -> Transitions:
        """The transitions that a mask, an index array or a slice picks."""
        return Transitions(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


class Replay:
    """Holds the last `capacity` transitions."""

    def __init__(self, capacity: int) -> None:
        self._ring = Transitions(
            states=np.empty((capacity, STATE), dtype=np.float32),
            allowed=np.empty((capacity, len(ACTIONS)), dtype=np.bool_),
            actions=np.empty(capacity, dtype=np.int64),
            rewards=np.empty(capacity, dtype=np.float32),
            next_states=np.empty((capacity, STATE), dtype=np.float32),
            next_allowed=np.empty((capacity, len(ACTIONS)), dtype=np.bool_),
            done=np.empty(capacity, dtype=np.bool_),
        )
        self._capacity = capacity
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def add(self, new: Transitions) -> None:
        """Append transitions; the oldest give way. Raises ValueError for more than the ring holds."""
        if len(new) > self._capacity:
            raise ValueError(f"{len(new)} transitions do not fit into a ring of {self._capacity}")
        places = (self._added + np.arange(len(new))) % self._capacity
        for field in fields(Transitions):
            getattr(self._ring, field.name)[places] = getattr(new, field.name)
        self._added += len(new)

    def sample(self, count: int, rng: np.random.Generator) -> Transitions:
        """`count` transitions, drawn evenly with repetition. Raises ValueError while there are none."""
        if not len(self):
            raise ValueError("there are no transitions to draw from")
        return self._ring.select(rng.integers(len(self), size=count))
