"""What a cohort's updates are to the kernels: vectors that are read span by span."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Vector(Protocol):
    """D values, of which any span can be read: an array in memory, or a file."""

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, span: slice, /) -> NDArray[Any]:
        """The values of `span`."""
