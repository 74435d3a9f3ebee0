"""The one interface behind which every aggregation strategy stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from federation.aggregation.cohort import Aggregate, Cohort
from federation.aggregation.errors import MethodInvalid, TooFewUpdates


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
    what to choose when there are fewer updates than it can stand.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    instead: ClassVar[str]

    @property
    def params(self) -> Mapping[str, int]:
        """The parameters in force, defaults included."""
        return {parameter.name: getattr(self, parameter.name) for parameter in self.parameters}

    @abstractmethod
    def minimum(self) -> int:
        """The fewest updates for which the strategy keeps what it promises."""

    def require(self, count: int) -> None:
        """Refuse a number of updates that is below `minimum`.

        Raises:
            TooFewUpdates: with the minimum and what to choose instead.
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

    def aggregate(self, cohort: Cohort) -> Aggregate:
        """Combine the cohort.

        Raises:
            TooFewUpdates: the cohort is smaller than `minimum`.
            WeightOverflow: the total weight exceeds what the exact accumulator holds.
        """
        self.require(cohort.count)
        return self._combine(cohort)

    @abstractmethod
    def _combine(self, cohort: Cohort) -> Aggregate:
        """The kernel of the strategy, for a cohort that is large enough."""
