"""What the noise would be under other settings, and how long it would leave the budgets that were spent from before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.conf import settings

from privacy.dp.accountant import Release, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM
from privacy.mechanism import Gaussian, Mechanism
from privacy.selectors.account import charged
from privacy.selectors.noise import NoiseGoal, RecordPlan, planned_mechanism, training_plan


@dataclass(frozen=True)
class Outlook:
    """What a goal asks for: the noise, and how long it leaves budgets that were spent from before.

    Attributes:
        most_spent, middle: rounds left for the organisation that has spent most, and for the one in the middle.
        unspent: for one that has spent nothing.
    """

    goal: NoiseGoal
    plan: RecordPlan
    mechanism: Mechanism | None
    most_spent: int | None
    middle: int | None
    unspent: int | None

    @property
    def noise_multiplier(self) -> float | None:
        """Standard deviation of the noise, in clipping norms."""
        return None if self.mechanism is None else multiplier_of(self.mechanism)


def multiplier_of(mechanism: Mechanism) -> float:
    """Standard deviation of a mechanism's noise, in clipping norms."""
    if isinstance(mechanism, Gaussian):
        return mechanism.sigma_ppm / mechanism.clip_ppm
    return mechanism.noise_multiplier_ppm / PPM


def outlook(goal: NoiseGoal, plan: RecordPlan | None = None) -> Outlook:
    """What the noise would be under a goal, and how many rounds the budget would then pay for. Nothing is stored.

    Args:
        plan: how training looks at single records; None: as the settings say.

    Raises:
        PrivacyParameterInvalid: no noise meets the goal, or the calibration does not hold for it.
    """
    plan = plan or training_plan()
    mechanism = planned_mechanism(plan, goal=goal)
    if mechanism is None:
        return Outlook(goal, plan, None, None, None, None)
    delta = settings.FLXDR.privacy_delta
    used = sorted(charged().values(), key=lambda releases: -epsilon_ppm(releases, delta)) or [Counter[Release]()]
    most_spent, middle, unspent = (
        rounds_until_exhausted(spent=spent, per_round=mechanism.release, budget_ppm=goal.budget_ppm, delta=delta)
        for spent in (used[0], used[len(used) // 2], Counter[Release]())
    )
    return Outlook(goal, plan, mechanism, most_spent, middle, unspent)
