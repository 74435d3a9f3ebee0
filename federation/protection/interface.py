"""What a protection is: how updates are stored while a round collects them, and how they become a cohort."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from models_ml.codec import ModelSchema, Tensors
from models_ml.vector_file import StoredVector


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

    def vectors(self, stored: Iterable[Path], schema: ModelSchema) -> Iterator[StoredVector[np.int32]]:
        """The stored updates as vectors for the aggregation, in the given order; their values stay in the files.

        Args:
            stored: files that hold what `seal` returned.

        Raises:
            SubmissionDamaged: a file that `seal` did not write, or of another schema.
            OSError: it cannot be read.
        """
