"""The privacy budget and configuration, read from the entries and the settings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings

from models_ml.fixed_point import MAX_UPDATE
from models_ml.tasks import TASKS
from privacy.dp.accountant import Release, calibrated_multiplier_ppm, epsilon_ppm, rounds_until_exhausted
from privacy.dp.composition import PPM, calibrated_sigma_ppm
from privacy.errors import MechanismUnavailable
from privacy.mechanism import NO_MECHANISM, NONE, ORGANIZATION, PPT, RECORD, Gaussian, Mechanism, SampledGaussian
from privacy.models import BudgetEntry

Kind = BudgetEntry.Kind
NOTES = {
    NONE: "Rounds declare no noise and charge nothing: updates have no differential-privacy guarantee.",
    ORGANIZATION: "Every organisation clips its whole update and adds noise to it. With few organisations this noise "
    "destroys the model: of ten on a small task, at epsilon 1, accuracy fell from 0.81 to between 0.58 and 0.66, where "
    "noise for single records left it at 0.81. Prefer FL_PRIVACY_MODE=record.",
    RECORD: "Every organisation trains with noise that protects its single records (DP-SGD). The number of records, "
    "and scores on records held out from training that organisations choose to attest, are not protected.",
}
SANITIZATION_NOTE = (
    "Updates that fail a check are refused, never altered. Of a masked one only its length can be checked, and whether "
    "the sum is in range. Only mode `organization` sets a bound on an update's norm: organisations clip to it. "
    "Identifiers are kept out on the organisation's machine, before features exist; names of metrics and registrations "
    "that hold one are refused."
)
IN_THE_CLEAR = "plain"
"""The protection under which the coordinator sees, and can check, single updates."""
CHECKS_IN_THE_CLEAR = ("tensor names", "shape", "dtype", "finite", "range")
CHECKS_OF_MASKED = ("length", "range of the sum")


@dataclass(frozen=True)
class RecordPlan:
    """How a round of a model looks at single records.

    Attributes:
        clip_ppm: L2 bound of one record's contribution, in millionths.
        sampling_ppm: probability of each record to be drawn in a step, in millionths.
        steps: of a round.
    """

    clip_ppm: int
    sampling_ppm: int
    steps: int


def training_plan(epochs: int = 1) -> RecordPlan:
    """DP-SGD by the settings: as many steps as draw each record `epochs` times on average."""
    sampling_ppm = int(Decimal(repr(settings.FLXDR.privacy_sampling_rate)) * PPM)
    return RecordPlan(_clip_ppm(), sampling_ppm, steps=-(-epochs * PPM // sampling_ppm))


def round_mechanism(plan: RecordPlan | None, shares: int = 1) -> Mapping[str, Any]:
    """The privacy mechanism that a round started now gets from the settings.

    Args:
        plan: how the round's model is trained on single records; None for a model that no agent can train so.
        shares: organisations that are counted on to make the noise on whole updates together.

    Raises:
        MechanismUnavailable: the settings ask for record-level noise and there is no plan. A round that claimed noise
            which nobody adds would be worse than one that claims nothing.
        PrivacyParameterInvalid: the settings' calibration does not hold for their epsilon.
    """
    mechanism = planned_mechanism(plan, shares)
    return NO_MECHANISM if mechanism is None else mechanism.as_mapping()


def planned_mechanism(plan: RecordPlan | None, shares: int = 1) -> Mechanism | None:
    """The mechanism whose noise lets `FL_TRAINING_ROUNDS` rounds spend `FL_PRIVACY_EPSILON`; None in mode `none`.

    At record level one release of moments is paid for beside these rounds.

    Raises:
        MechanismUnavailable, PrivacyParameterInvalid: as `round_mechanism`.
    """
    mode = settings.FLXDR.privacy_mode
    if mode == NONE:
        return None
    if mode == ORGANIZATION:
        return _organization_mechanism(shares)
    if plan is None:
        raise MechanismUnavailable(
            "FL_PRIVACY_MODE=record asks for noise inside training, and no agent trains this model",
            expected=f"a model that agents train: {', '.join(TASKS)}",
            action="Choose one of these, or set FL_PRIVACY_MODE=organization, whose noise is added to any update, or "
            " FL_PRIVACY_MODE=none with FL_PRIVACY_REQUIRED=false, for rounds that declare and guarantee nothing.",
            privacy_mode=mode,
        )
    return _record_mechanism(plan)


def _organization_mechanism(shares: int) -> Gaussian:
    env = settings.FLXDR
    return Gaussian(
        clip_ppm=_clip_ppm(),
        sensitivity_ppm=_clip_ppm(),
        sigma_ppm=calibrated_sigma_ppm(
            budget_ppm=limit_ppm(),
            delta=env.privacy_delta,
            sensitivity_ppm=_clip_ppm(),
            rounds=env.training_rounds,
            calibration=env.privacy_calibration,
        ),
        delta_ppt=_delta_ppt(),
        shares=shares,
        calibration=env.privacy_calibration,
    )


def _record_mechanism(plan: RecordPlan) -> SampledGaussian:
    """Noise with which one release of moments and `FL_TRAINING_ROUNDS` rounds of training spend the budget together.

    The moments, with which features are normalised, get a round's share of it.
    """
    env = settings.FLXDR
    calibrated = partial(calibrated_multiplier_ppm, budget_ppm=limit_ppm(), delta=env.privacy_delta)
    multiplier_ppm = calibrated(sampling_ppm=PPM, steps=env.training_rounds + 1)
    if (plan.sampling_ppm, plan.steps) != (PPM, 1):
        multiplier_ppm = calibrated(
            sampling_ppm=plan.sampling_ppm,
            steps=plan.steps * env.training_rounds,
            beside=(Release(PPM, multiplier_ppm),),
        )
    return SampledGaussian(
        clip_ppm=plan.clip_ppm,
        noise_multiplier_ppm=multiplier_ppm,
        sampling_ppm=plan.sampling_ppm,
        steps=plan.steps,
        delta_ppt=_delta_ppt(),
    )


def charged(org_ids: Sequence[str] | None = None) -> Mapping[str, tuple[Release, ...]]:
    """What each organisation's data has been charged; nothing for everyone else.

    Args:
        org_ids: whom to look at; None: everybody.
    """
    entries = BudgetEntry.objects.charged()
    if org_ids is not None:
        entries = entries.filter(account__org_id__in=org_ids)
    releases: dict[str, tuple[Release, ...]] = defaultdict(tuple)
    for entry in entries.select_related("account"):
        releases[entry.account.org_id] += (entry.release,)
    return releases


def budget(org_id: str | None = None) -> dict[str, Any]:
    """The guide's privacy budget.

    For one organisation: its own. For the federation: the largest epsilon over organisations (their records are
    disjoint; a person known to several is protected by less), and every organisation's figures.

    `rounds_until_budget_exhausted` is a number where rounds cost something, and null where they do not
    (`unlimited`: rounds declare no noise, charge nothing, and give no guarantee).
    """
    used = charged(None if org_id is None else [org_id])
    rounds = _rounds(org_id)
    delta = settings.FLXDR.privacy_delta
    largest = max(used.values(), key=lambda releases: epsilon_ppm(releases, delta), default=())
    mode = settings.FLXDR.privacy_mode
    mechanism = planned_mechanism(training_plan())
    answer = {
        **_figures(largest),
        "rounds_trained": len({round_id for kinds in rounds.values() for round_id in kinds}),
        "rounds_until_budget_exhausted": None if mechanism is None else _rounds_left(largest, mechanism),
        "unlimited": mode == NONE,
        "rounds_unprotected": len(
            {round_id for kinds in rounds.values() for round_id, kind in kinds.items() if kind == Kind.UNPROTECTED}
        ),
        "delta": settings.FLXDR.privacy_delta,
        "mode": mode,
        "note": NOTES[mode],
    }
    if org_id is not None:
        return answer | {"org_id": org_id}
    return answer | {
        "organizations": [
            {"org_id": name, **_figures(used[name]), "rounds_trained": len(rounds.get(name, ()))}
            for name in sorted(used.keys() | rounds.keys())
        ]
    }


def configuration() -> dict[str, Any]:
    """The guide's privacy configuration, told as it is: `enabled` means built, configured and in force.

    What is said of protections holds for rounds that name none of their own.
    """
    env = settings.FLXDR
    whole = env.privacy_mode == ORGANIZATION
    masked = env.protection != IN_THE_CLEAR
    return {
        "differential_privacy": {
            "epsilon": env.privacy_epsilon,
            "delta": env.privacy_delta,
            "clipping_norm": env.privacy_clipping_norm,
            "status": "disabled" if env.privacy_mode == NONE else "enabled",
            "mode": env.privacy_mode,
            "sampling_rate": env.privacy_sampling_rate if env.privacy_mode == RECORD else None,
            "calibration": env.privacy_calibration,
            "mechanism_required": env.privacy_required,
            "note": NOTES[env.privacy_mode],
        },
        "homomorphic_encryption": "enabled" if env.protection == "paillier" else "disabled",
        "secure_aggregation": "enabled" if masked else "disabled",
        "gradient_sanitization": "enabled",
        "protection": env.protection,
        "gradient_sanitization_details": {
            "update_checks": CHECKS_OF_MASKED if masked else CHECKS_IN_THE_CLEAR,
            "largest_value": MAX_UPDATE,
            "norm_bound": env.privacy_clipping_norm if whole else None,
            "norm_clipping": "enabled" if whole else "disabled",
            "metadata_checks": ["names of metrics", "registrations"],
            "pii_removal": "enabled",
            "note": SANITIZATION_NOTE,
        },
    }


def limit_ppm() -> int:
    """The total budget in millionths of epsilon, rounded down."""
    return int(Decimal(repr(settings.FLXDR.privacy_epsilon)) * PPM)


def _rounds(org_id: str | None) -> dict[str, dict[str, str]]:
    """By organisation, the rounds that used its updates, and whether their cost was spent or they were unprotected."""
    entries = BudgetEntry.objects.filter(kind__in=(Kind.SPENT, Kind.UNPROTECTED))
    if org_id is not None:
        entries = entries.filter(account__org_id=org_id)
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name, round_id, kind in entries.values_list("account__org_id", "round_id", "kind"):
        found[name][round_id] = kind
    return found


def _figures(releases: Iterable[Release]) -> dict[str, float]:
    """The guide's three figures for what was charged."""
    limit = limit_ppm()
    used = epsilon_ppm(releases, settings.FLXDR.privacy_delta)
    return {
        "epsilon_total": limit / PPM,
        "epsilon_used": used / PPM,
        "epsilon_remaining": max(0, limit - used) / PPM,
    }


def _rounds_left(spent: Iterable[Release], mechanism: Mechanism) -> int:
    return rounds_until_exhausted(
        spent=spent, per_round=mechanism.release, budget_ppm=limit_ppm(), delta=settings.FLXDR.privacy_delta
    )


def _clip_ppm() -> int:
    return math.ceil(Decimal(repr(settings.FLXDR.privacy_clipping_norm)) * PPM)


def _delta_ppt() -> int:
    return max(1, int(Decimal(repr(settings.FLXDR.privacy_delta)) * PPT))
