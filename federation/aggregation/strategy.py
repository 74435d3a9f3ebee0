"""The one interface behind which every aggregation strategy stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from federation.aggregation.cohort import Cohort, Plan
from federation.aggregation.errors import MethodInvalid, TooFewUpdates, TooManyUpdates


@dataclass(frozen=True)
class Parameter:
    """An integer that a strategy takes, with its default and inclusive range."""

    name: str
    default: int
    lowest: int
    highest: int
    meaning: str

    def checked(self, value: Any) -> int:
        """`value` as an integer of the range.

        Raises:
            MethodInvalid: another type (a boolean is none), or out of range.
        """
        if isinstance(value, bool) or not isinstance(value, int) or not self.lowest <= value <= self.highest:
            raise MethodInvalid(
                f"{self.name} is {value!r}",
                expected=f"an integer from {self.lowest} to {self.highest}: {self.meaning}",
                parameter=self.name,
            )
        return value


class Strategy(ABC):
    """Combines the updates of a cohort into one, exactly: same updates, same bits, in any order on any machine.

    A strategy is a frozen dataclass whose fields are its parameters. It says its name, its parameters' ranges, and
    what to choose when there are fewer or more updates than it can stand. It decides in two steps that the `engine`
    runs: `plan` once for the cohort, then the plan's kernel and `step` for every block of coordinates.

    Attributes:
        needs_products: whether `plan` looks at the inner products of the updates.
        state_names: the vectors that a server optimiser carries from round to round; none for most strategies.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    instead: ClassVar[str]
    needs_products: ClassVar[bool] = False
    state_names: ClassVar[tuple[str, ...]] = ()

    @property
    def params(self) -> Mapping[str, int]:
        """The parameters in force, defaults included."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters}

    @abstractmethod
    def minimum(self) -> int:
        """The fewest updates for which the strategy keeps what it promises."""

    def maximum(self) -> int | None:
        """The most updates that it can combine exactly; None for as many as there are."""
        return None

    def require(self, count: int) -> None:
        """Refuse a number of updates below `minimum` or above `maximum`.

        Raises:
            TooFewUpdates, TooManyUpdates: with the bound and what to choose instead.
        """
        if count < self.minimum():
            raise TooFewUpdates(
                f"{self.name} cannot combine {count} update{'' if count == 1 else 's'}",
                expected=f"at least {self.minimum()} updates",
                action=self.instead,
                method=self.name,
                minimum=self.minimum(),
                updates=count,
            )
        most = self.maximum()
        if most is not None and count > most:
            raise TooManyUpdates(
                f"{self.name} cannot combine {count} updates",
                expected=f"at most {most} updates",
                action="Choose median, trimmed_mean or FedAvg, which combine any number.",
                method=self.name,
                maximum=most,
                updates=count,
            )

    @abstractmethod
    def plan(self, cohort: Cohort, products: NDArray[Any] | None) -> Plan:
        """Decide who counts and how, without reading an update.

        Args:
            cohort: large enough (see `require`).
            products: the N x N inner products of the updates, Python integers (see `gram`); None is enough for a
                strategy whose `needs_products` is false.

        Raises:
            WeightOverflow: the total weight exceeds what the exact accumulator holds.
        """

    def initial_state(self) -> tuple[float, ...]:
        """The value that every coordinate of each vector of `state_names` starts from."""
        return ()

    def step(
        self, combined: NDArray[np.int32], state: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """From what the plan's kernel combined in a block of W coordinates to the update of the model.

        Args:
            combined: W int32 in units of 2^-24.
            state: S x W float64 in model units, the optimiser's vectors in the order of `state_names`.

        Returns:
            The update (W int32) and the state after it (S x W float64).
        """
        return combined, state
