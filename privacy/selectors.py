"""The privacy budget and configuration, read from the entries and the settings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings

from models_ml.fixed_point import MAX_UPDATE
from privacy.dp.composition import (
    PPM,
    calibrated_sigma_ppm,
    epsilon_ppm,
    rounds_until_exhausted,
    squared_mu,
    total,
)
from privacy.errors import MechanismUnavailable
from privacy.mechanism import INSTEAD, NO_MECHANISM, NONE, ORGANIZATION, PPT, RECORD, Gaussian
from privacy.models import BudgetEntry

Kind = BudgetEntry.Kind
NOTES = {
    NONE: "Rounds declare no noise and charge nothing: updates have no differential-privacy guarantee.",
    ORGANIZATION: "Noise on whole updates is configured and this version draws none, so new rounds are refused.",
    RECORD: "Noise for single records is configured and this version draws none, so new rounds are refused.",
}


def round_mechanism() -> Mapping[str, Any]:
    """The privacy mechanism that a round started now gets from the settings.

    Raises:
        MechanismUnavailable: the settings ask for noise. Agents of this version draw none, and a round that claimed
            noise which nobody adds would be worse than one that claims nothing.
    """
    mode = settings.FLXDR.privacy_mode
    if mode != NONE:
        raise MechanismUnavailable(
            f"FL_PRIVACY_MODE={mode} asks for noise that the agents of this version do not draw",
            expected="FL_PRIVACY_MODE=none",
            action=INSTEAD,
            privacy_mode=mode,
        )
    return NO_MECHANISM


def planned_mechanism() -> Gaussian | None:
    """The mechanism whose noise lets `FL_TRAINING_ROUNDS` rounds spend `FL_PRIVACY_EPSILON`; None where the settings
    ask for no noise on whole updates.

    Raises:
        PrivacyParameterInvalid: the settings' calibration does not hold for their epsilon.
    """
    env = settings.FLXDR
    if env.privacy_mode != ORGANIZATION:
        return None
    clip_ppm = math.ceil(Decimal(repr(env.privacy_clipping_norm)) * PPM)
    return Gaussian(
        clip_ppm=clip_ppm,
        sensitivity_ppm=clip_ppm,
        sigma_ppm=calibrated_sigma_ppm(
            budget_ppm=limit_ppm(),
            delta=env.privacy_delta,
            sensitivity_ppm=clip_ppm,
            rounds=env.training_rounds,
            calibration=env.privacy_calibration,
        ),
        delta_ppt=max(1, int(Decimal(repr(env.privacy_delta)) * PPT)),
        calibration=env.privacy_calibration,
    )


def charged(org_ids: Sequence[str] | None = None) -> Mapping[str, float]:
    """What each organisation's data has been charged, as mu^2; 0 for everyone else.

    Args:
        org_ids: whom to look at; None: everybody.
    """
    entries = BudgetEntry.objects.charged()
    if org_ids is not None:
        entries = entries.filter(account__org_id__in=org_ids)
    squares: dict[str, list[float]] = defaultdict(list)
    for org_id, sensitivity, sigma in entries.values_list("account__org_id", "sensitivity_ppm", "sigma_ppm"):
        assert sensitivity is not None  # a constraint of the table
        assert sigma is not None
        squares[org_id].append(squared_mu(sensitivity, sigma))
    return defaultdict(float, {org_id: total(values) for org_id, values in squares.items()})


def budget(org_id: str | None = None) -> dict[str, Any]:
    """The guide's privacy budget.

    For one organisation: its own. For the federation: the largest epsilon over organisations (their records are
    disjoint; a person known to several is protected by less), and every organisation's figures.

    `rounds_until_budget_exhausted` is a number where rounds cost something, and null where they do not
    (`unlimited`: rounds declare no noise, charge nothing, and give no guarantee) or where their cost is not known.
    """
    used = charged(None if org_id is None else [org_id])
    rounds = _rounds(org_id)
    largest = max(used.values(), default=0.0)
    mode = settings.FLXDR.privacy_mode
    mechanism = planned_mechanism()
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
    """The guide's privacy configuration, told as it is: `enabled` means built, configured and in force."""
    env = settings.FLXDR
    return {
        "differential_privacy": {
            "epsilon": env.privacy_epsilon,
            "delta": env.privacy_delta,
            "clipping_norm": env.privacy_clipping_norm,
            "status": "disabled" if env.privacy_mode == NONE else "refused",
            "mode": env.privacy_mode,
            "calibration": env.privacy_calibration,
            "mechanism_required": env.privacy_required,
            "note": NOTES[env.privacy_mode],
        },
        "homomorphic_encryption": "enabled" if env.protection == "paillier" else "disabled",
        "secure_aggregation": "enabled" if env.protection == "secagg" else "disabled",
        "gradient_sanitization": "enabled",
        "protection": env.protection,
        "gradient_sanitization_details": {
            "update_checks": ["tensor names", "shape", "dtype", "finite", "range"],
            "largest_value": MAX_UPDATE,
            "norm_bound": None,
            "norm_clipping": "disabled",
            "pii_removal": "disabled",
            "note": "Updates out of range are refused, never altered. Without noise a round sets no bound on an "
            "update's norm, so nothing is clipped. Records are turned into features on the organisation's machine.",
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


def _figures(mu_squared: float) -> dict[str, float]:
    """The guide's three figures for what was charged."""
    limit = limit_ppm()
    used = epsilon_ppm(mu_squared, settings.FLXDR.privacy_delta)
    return {
        "epsilon_total": limit / PPM,
        "epsilon_used": used / PPM,
        "epsilon_remaining": max(0, limit - used) / PPM,
    }


def _rounds_left(spent: float, mechanism: Gaussian) -> int:
    return rounds_until_exhausted(
        spent=spent, per_round=mechanism.cost, budget_ppm=limit_ppm(), delta=settings.FLXDR.privacy_delta
    )
