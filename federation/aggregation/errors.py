"""What can be wrong with a cohort of updates or with the choice of a strategy."""

from __future__ import annotations

from flxdr.core.errors import Conflict, Invalid


class TooFewUpdates(Conflict):
    """Fewer updates than the strategy can stand."""

    code = "too_few_updates"
    title = "Too few updates for the aggregation method"


class TooManyUpdates(Conflict):
    """More updates than the strategy can combine exactly."""

    code = "too_many_updates"
    title = "Too many updates for the aggregation method"


class CohortInvalid(Invalid):
    """Updates that do not belong together: other lengths, another dtype, a weight below one."""

    code = "invalid_cohort"
    title = "Invalid cohort of updates"


class WeightOverflow(Invalid):
    """Weights whose sum could overflow the exact accumulator."""

    code = "weight_overflow"
    title = "Total weight too large"


class MethodInvalid(Invalid):
    """An aggregation method, parameter or weighting that does not exist or is out of range."""

    code = "invalid_aggregation"
    title = "Invalid aggregation method or parameter"
