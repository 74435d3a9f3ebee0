"""Reads of the privacy budget and of the privacy settings."""

from privacy.selectors.account import budget, charged, largest_epsilon
from privacy.selectors.configuration import NOTES, SANITIZATION_NOTE, configuration
from privacy.selectors.forecast import Forecast, forecast
from privacy.selectors.noise import (
    NoiseGoal,
    RecordPlan,
    configured_goal,
    limit_ppm,
    planned_mechanism,
    training_plan,
)
from privacy.selectors.round_charges import cost_of, round_charges
from privacy.selectors.runway import runways

__all__ = [
    "NOTES",
    "SANITIZATION_NOTE",
    "Forecast",
    "NoiseGoal",
    "RecordPlan",
    "budget",
    "charged",
    "configuration",
    "configured_goal",
    "cost_of",
    "forecast",
    "largest_epsilon",
    "limit_ppm",
    "planned_mechanism",
    "round_charges",
    "runways",
    "training_plan",
]
