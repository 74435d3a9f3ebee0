"""What a protection is: how updates are stored while a round collects them, and how they become a cohort."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models_ml.codec import ModelSchema, Tensors


class Protection(Protocol):
    """One way of keeping single updates from the coordinator, or of not doing so."""

    @property
    def name(self) -> str:
        """What a round's configuration calls it."""

    def check_combination(self, *, aggregation_method: str, participants: int) -> None:
        """Refuse what this protection cannot do, when a round is configured.

        Raises:
            IncompatibleProtection: with the reason and what to choose instead.
        """

    def seal(self, delta: Tensors) -> bytes:
        """The bytes that are stored of an accepted update."""

    def vectors(self, stored: Iterable[bytes], schema: ModelSchema) -> Iterator[NDArray[np.int32]]:
        """The stored updates as vectors for the aggregation, in the given order.

        Raises:
            SubmissionDamaged: bytes that `seal` did not write, or of another schema.
        """
