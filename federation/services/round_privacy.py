"""The noise of a round: the operator's choice for it within the settings' bounds, and the mechanism that follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

import privacy.selectors
from federation.errors import PrivacyRequired, RoundParametersInvalid
from federation.masking.honest import counted_on
from federation.round_config import PPM, LocalTraining
from federation.services.round_setup import ChosenProtection, bounded, ppm
from models_ml.normalisation import RECORD_NORM
from models_ml.registry import EDGE_NORMALISER
from models_ml.tasks import TASKS
from privacy.mechanism import NO_MECHANISM, NONE, ORGANIZATION, RECORD
from privacy.selectors import NoiseGoal, RecordPlan

MODES = (NONE, RECORD, ORGANIZATION)
"""From what protects least to what protects most."""
SMALLEST_EPSILON_PPM = 1000
CHOICES = ("mode", "epsilon_ppm", "clip_ppm")


def noise_goal(model_name: str, choices: Mapping[str, Any] | None) -> NoiseGoal:
    """What a round's noise is to do: what the operator chose for this round, and beneath it what the settings say.

    Args:
        choices: `mode`; `epsilon_ppm`, what this round alone may spend; `clip_ppm`. The settings bound them: at most
            `FL_PRIVACY_EPSILON` and `FL_PRIVACY_CLIPPING_NORM`, and with `FL_PRIVACY_REQUIRED` no mode that protects
            less than `FL_PRIVACY_MODE`.

    Raises:
        RoundParametersInvalid: an unknown name, a value beyond its bound, or one that the mode has no use for.
        PrivacyRequired: the mode protects less than the settings require.
    """
    configured = privacy.selectors.configured_goal()
    chosen = dict(choices or {})
    if unknown := sorted(chosen.keys() - set(CHOICES)):
        raise RoundParametersInvalid(
            f"no privacy parameter {unknown[0]!r}", expected=", ".join(CHOICES), field=f"privacy.{unknown[0]}"
        )
    goal = replace(configured, mode=_mode(chosen.pop("mode", configured.mode)))
    if goal.mode == NONE and chosen:
        raise _useless(sorted(chosen)[0], "a mode that adds noise, record | organization")
    if "clip_ppm" in chosen:
        if goal.mode == RECORD and model_name == EDGE_NORMALISER:
            raise _useless("clip_ppm", f"nothing: a record's moments are bounded by {RECORD_NORM:g}")
        goal = replace(goal, clip_ppm=bounded(chosen["clip_ppm"], 1, configured.clip_ppm, field="privacy.clip_ppm"))
    if "epsilon_ppm" in chosen:
        least = min(SMALLEST_EPSILON_PPM, configured.budget_ppm)
        epsilon_ppm = bounded(chosen["epsilon_ppm"], least, configured.budget_ppm, field="privacy.epsilon_ppm")
        goal = replace(goal, budget_ppm=epsilon_ppm, rounds=1, moments=0)
    return goal


def mechanism_of(model_name: str, goal: NoiseGoal, local: LocalTraining, shares: int) -> Mapping[str, Any]:
    """The mechanism with which a round of the model meets the goal, as its configuration states it.

    Args:
        shares: as `noise_shares`.

    Raises:
        MechanismUnavailable: the goal is noise that no agent can draw for this model.
        PrivacyParameterInvalid: the settings' calibration does not hold for the goal's epsilon.
    """
    mechanism = privacy.selectors.planned_mechanism(_record_plan(model_name, goal, local), shares, goal)
    return NO_MECHANISM if mechanism is None else mechanism.as_mapping()


def noise_shares(protection: ChosenProtection, *, least: int, most: int) -> int:
    """How many organisations make the noise on whole updates together: one where updates are seen one by one."""
    return counted_on(least=least, most=most, buckets=protection.buckets) if protection.is_masked else 1


def clip_norm_ppm(mechanism: Mapping[str, Any]) -> int:
    """The L2 norm to which organisations clip their whole update, in millionths of model units; 0 for no clipping.

    Only organisation-level privacy clips updates: at record level it is examples that are clipped.
    """
    return int(mechanism["clip_ppm"]) if mechanism.get("unit") == ORGANIZATION else 0


def _mode(name: Any) -> str:
    if not isinstance(name, str) or name not in MODES:
        raise RoundParametersInvalid(f"privacy.mode is {name!r}", expected=" | ".join(MODES), field="privacy.mode")
    if settings.FLXDR.privacy_required:
        least = max(settings.FLXDR.privacy_mode, RECORD, key=MODES.index)
        if MODES.index(name) < MODES.index(least):
            raise PrivacyRequired(
                f"the round's privacy mode would be {name}",
                expected=f"{least}{'' if least == ORGANIZATION else ' or organization'}, because FL_PRIVACY_REQUIRED "
                "is set",
                action="Set FL_PRIVACY_MODE, or FL_PRIVACY_REQUIRED=false to train with less, knowing what then goes "
                "unprotected.",
            )
    return name


def _record_plan(model_name: str, goal: NoiseGoal, local: LocalTraining) -> RecordPlan | None:
    """How agents train the model on single records: moments are taken once and of all records, the rest by DP-SGD."""
    if model_name == EDGE_NORMALISER:
        return RecordPlan(clip_ppm=ppm(RECORD_NORM), sampling_ppm=PPM, steps=1)
    task = TASKS.get(model_name)
    if task is None or task.example_unit is None:
        return None
    return privacy.selectors.training_plan(local.epochs, clip_ppm=goal.clip_ppm, example=task.example_unit)


def _useless(name: str, expected: str) -> RoundParametersInvalid:
    return RoundParametersInvalid(f"privacy.{name} has no use here", expected=expected, field=f"privacy.{name}")
