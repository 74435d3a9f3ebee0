"""The noise of a round: what it is to protect, what it may spend, and the mechanism that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from django.conf import settings

from models_ml.tasks import TASKS
from privacy.dp.accountant import Release, calibrated_multiplier_ppm
from privacy.dp.composition import PPM, calibrated_sigma_ppm
from privacy.errors import MechanismUnavailable
from privacy.mechanism import EXAMPLES, NONE, ORGANIZATION, PPT, Gaussian, Mechanism, SampledGaussian


@dataclass(frozen=True)
class RecordPlan:
    """How a round of a model looks at single records.

    Attributes:
        clip_ppm: L2 bound of one record's contribution, in millionths.
        sampling_ppm: probability of each record to be drawn in a step, in millionths.
        steps: of a round.
        example: what a record is to the model (`mechanism.EXAMPLES`).
    """

    clip_ppm: int
    sampling_ppm: int
    steps: int
    example: str = EXAMPLES[0]


@dataclass(frozen=True)
class NoiseGoal:
    """What the noise of a round is to protect, and what it may spend.

    Attributes:
        mode: the unit: `none`, `record`, `organization`.
        budget_ppm: epsilon, in millionths, that `rounds` rounds spend together.
        rounds: how many.
        moments: releases of the normaliser's moments that the same budget pays for.
        clip_ppm: L2 bound of a record's gradient, or of an organisation's update.
    """

    mode: str
    budget_ppm: int
    rounds: int
    moments: int
    clip_ppm: int


def configured_goal() -> NoiseGoal:
    """The settings' goal: `FL_TRAINING_ROUNDS` rounds and one release of moments spend `FL_PRIVACY_EPSILON`."""
    env = settings.FLXDR
    clip_ppm = math.ceil(Decimal(repr(env.privacy_clipping_norm)) * PPM)
    return NoiseGoal(env.privacy_mode, limit_ppm(), env.training_rounds, moments=1, clip_ppm=clip_ppm)


def training_plan(epochs: int = 1, *, clip_ppm: int | None = None, example: str = EXAMPLES[0]) -> RecordPlan:
    """DP-SGD by the settings: as many steps as draw each record `epochs` times on average.

    Args:
        clip_ppm: another bound of a record's gradient than the settings'.
        example: as `RecordPlan`.
    """
    sampling_ppm = int(Decimal(repr(settings.FLXDR.privacy_sampling_rate)) * PPM)
    steps = -(-epochs * PPM // sampling_ppm)
    return RecordPlan(clip_ppm or configured_goal().clip_ppm, sampling_ppm, steps, example)


def planned_mechanism(plan: RecordPlan | None, shares: int = 1, goal: NoiseGoal | None = None) -> Mechanism | None:
    """The mechanism whose noise meets a goal; None in mode `none`.

    Args:
        plan: how the round's model is trained on single records; None for a model that no agent can train so.
        shares: organisations that are counted on to make the noise on whole updates together.
        goal: None for the settings'.

    Raises:
        MechanismUnavailable: the goal is record-level noise and there is no plan. A round that claimed noise which
            nobody adds would be worse than one that claims nothing.
        PrivacyParameterInvalid: the settings' calibration does not hold for the goal's epsilon.
    """
    goal = goal or configured_goal()
    if goal.mode == NONE:
        return None
    if goal.mode == ORGANIZATION:
        return _organization_mechanism(goal, shares)
    if plan is None:
        raise MechanismUnavailable(
            "mode `record` asks for noise inside training, and no agent trains this model",
            expected=f"a model that agents train: {', '.join(TASKS)}",
            action="Choose one of these, or set FL_PRIVACY_MODE=organization, whose noise is added to any update, or "
            "FL_PRIVACY_MODE=none with FL_PRIVACY_REQUIRED=false, for rounds that declare and guarantee nothing.",
            privacy_mode=goal.mode,
        )
    return _record_mechanism(goal, plan)


def limit_ppm() -> int:
    """The total budget in millionths of epsilon, rounded down."""
    return int(Decimal(repr(settings.FLXDR.privacy_epsilon)) * PPM)


def _organization_mechanism(goal: NoiseGoal, shares: int) -> Gaussian:
    env = settings.FLXDR
    return Gaussian(
        clip_ppm=goal.clip_ppm,
        sensitivity_ppm=goal.clip_ppm,
        sigma_ppm=calibrated_sigma_ppm(
            budget_ppm=goal.budget_ppm,
            delta=env.privacy_delta,
            sensitivity_ppm=goal.clip_ppm,
            rounds=goal.rounds,
            calibration=env.privacy_calibration,
        ),
        delta_ppt=_delta_ppt(),
        shares=shares,
        calibration=env.privacy_calibration,
    )


def _record_mechanism(goal: NoiseGoal, plan: RecordPlan) -> SampledGaussian:
    """Noise with which the goal's rounds of training, and its moments, spend the budget together.

    The moments, with which features are normalised, get a round's share of it.
    """
    calibrated = partial(calibrated_multiplier_ppm, budget_ppm=goal.budget_ppm, delta=settings.FLXDR.privacy_delta)
    if (plan.sampling_ppm, plan.steps) == (PPM, 1):
        multiplier_ppm = calibrated(sampling_ppm=PPM, steps=goal.rounds + goal.moments)
    else:
        beside = calibrated(sampling_ppm=PPM, steps=goal.rounds + goal.moments)
        multiplier_ppm = calibrated(
            sampling_ppm=plan.sampling_ppm,
            steps=plan.steps * goal.rounds,
            beside=(Release(PPM, beside),) * goal.moments,
        )
    return SampledGaussian(
        clip_ppm=plan.clip_ppm,
        noise_multiplier_ppm=multiplier_ppm,
        sampling_ppm=plan.sampling_ppm,
        steps=plan.steps,
        delta_ppt=_delta_ppt(),
        example=plan.example,
    )


def _delta_ppt() -> int:
    return max(1, int(Decimal(repr(settings.FLXDR.privacy_delta)) * PPT))
