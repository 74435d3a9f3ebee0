"""What a round is started with: the caller's choices, the settings' defaults, and the checks on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

import privacy.selectors
from federation import selectors
from federation.aggregation import registry, weighting
from federation.errors import PrivacyRequired, RoundParametersInvalid, TooFewOrganizations
from federation.models import ModelVersion, Organization
from federation.protection import registry as protections
from federation.round_config import PPM, LocalTraining

DEFAULT_MINIMUM = 2
"""Organisations that a round needs when nobody says otherwise: with one alone there is nothing to federate."""
DEFAULT_EPOCHS = 1
NORMALISER = "edge-normaliser"
"""The model whose aggregate is exact statistics: it is averaged by samples and never pulled back."""
NORMALISED = {"edge-classifier": NORMALISER}
"""Models whose organisations normalise their features with the newest release of another model."""
NO_MECHANISM = "none"

_LOCAL_BOUNDS = {
    "epochs": (1, 1000),
    "batch_size": (1, 1_000_000),
    "learning_rate_ppm": (1, 100 * PPM),
    "proximal_ppm": (0, 100 * PPM),
}
MAX_TIMEOUT = 30 * 86400


@dataclass(frozen=True)
class Aggregation:
    """A checked choice of strategy: its parameters with every default written out, and the fewest updates it stands."""

    method: str
    params: Mapping[str, int | str]
    minimum: int


def aggregation(model_name: str, method: str | None, params: Mapping[str, Any] | None) -> Aggregation:
    """The strategy of a round.

    Raises:
        MethodInvalid: no such method or parameter.
    """
    if method is None:
        method = "FedAvg" if model_name == NORMALISER else settings.FLXDR.aggregation_method
    chosen = dict(params or {})
    if method == "FedProx":
        chosen.setdefault("lambda_ppm", ppm(settings.FLXDR.proximal_parameter))
    elif method == registry.ROBUST:
        chosen.setdefault(registry.ROBUST_METHOD, settings.FLXDR.aggregation_robust_method)
    return Aggregation(method, registry.resolved(method, chosen), registry.build(method, chosen).minimum())


def optimizer_state(parent: ModelVersion | None, chosen: Aggregation) -> str | None:
    """The state file with which the round's server optimiser goes on: the one that its own method left at the parent.

    None starts the state anew: after another method, whose state means something else, and at a model's beginning.
    """
    if parent is None or parent.training_round is None or parent.training_round.aggregation_method != chosen.method:
        return None
    return parent.optimizer_state_digest or None


def weighting_of(model_name: str, how: str | None) -> str:
    """How organisations are weighed: by samples, except that agents' models cap what one organisation can claim.

    Raises:
        RoundParametersInvalid: no such weighting.
    """
    if how is None:
        return "samples" if model_name in (settings.FLXDR.default_model, NORMALISER) else "capped"
    if how not in weighting.WEIGHTINGS:
        raise RoundParametersInvalid(f"weighting {how!r}", expected=" | ".join(weighting.WEIGHTINGS), field="weighting")
    return how


def local_training(model_name: str, chosen: Aggregation, overrides: Mapping[str, int] | None) -> LocalTraining:
    """How organisations train in the round; FedProx brings its proximal term, others none.

    Raises:
        RoundParametersInvalid: an unknown name, or a value out of range.
    """
    pull = chosen.params.get("lambda_ppm", 0)
    values: dict[str, int] = {
        "epochs": DEFAULT_EPOCHS,
        "batch_size": settings.FLXDR.batch_size,
        "learning_rate_ppm": ppm(settings.FLXDR.learning_rate),
        "proximal_ppm": pull if isinstance(pull, int) else 0,
    }
    for name, value in (overrides or {}).items():
        if name not in _LOCAL_BOUNDS:
            raise RoundParametersInvalid(
                f"no local parameter {name!r}", expected=", ".join(_LOCAL_BOUNDS), field=f"local.{name}"
            )
        values[name] = bounded(value, *_LOCAL_BOUNDS[name], field=f"local.{name}")
    normaliser = selectors.released_version(NORMALISED[model_name]) if model_name in NORMALISED else None
    return LocalTraining(**values, normaliser_hash=normaliser.model_hash if normaliser else None)


def protection_of(name: str | None, chosen: Aggregation, participants: int) -> str:
    """The protection of a round, checked against its aggregation.

    Raises:
        RoundParametersInvalid: no such protection.
        IncompatibleProtection: it cannot be combined with the aggregation.
    """
    protection = protections.get(name or settings.FLXDR.protection)
    protection.check_combination(aggregation_method=chosen.method, participants=participants)
    return protection.name


def privacy_mechanism() -> Mapping[str, Any]:
    """The privacy mechanism that the settings give a round.

    Raises:
        PrivacyRequired: they give none and also require one.
    """
    mechanism = privacy.selectors.round_mechanism()
    if settings.FLXDR.privacy_required and mechanism["mechanism"] == NO_MECHANISM:
        raise PrivacyRequired(
            "the round would declare no privacy mechanism",
            expected="a mechanism, because FL_PRIVACY_REQUIRED is set",
            action="Set FL_PRIVACY_REQUIRED=false to train without noise, knowing that nothing protects the updates.",
        )
    return mechanism


def clip_norm_ppm(mechanism: Mapping[str, Any]) -> int:
    """The L2 norm to which organisations clip their whole update, in millionths of model units; 0 for no clipping.

    Only organisation-level privacy clips updates: at record level it is examples that are clipped.
    """
    return int(mechanism["clip_ppm"]) if mechanism.get("unit") == "organization" else 0


def minimum_of(requested: int | None, chosen: Aggregation, participants: Sequence[Organization]) -> int:
    """The number of updates that the round needs: what was asked for, and never fewer than the strategy can stand.

    Raises:
        RoundParametersInvalid: less than one was asked for.
        TooFewOrganizations: more are needed than would take part.
    """
    if requested is not None:
        bounded(requested, 1, 2**31 - 1, field="min_orgs_required")
    needed = max(requested or DEFAULT_MINIMUM, chosen.minimum)
    if len(participants) < needed:
        raise TooFewOrganizations(
            f"{len(participants)} organizations would take part and {needed} are needed",
            expected=f"at least {needed} active organizations whose keys, if they have any, are admitted to the chain",
            action="Lower min_orgs_required, choose another aggregation method, or wait for more organizations.",
            participants=[organization.org_id for organization in participants],
            required=needed,
            aggregation_minimum=chosen.minimum,
        )
    return needed


def bounded(value: Any, lowest: int, highest: int, *, field: str) -> int:
    """An integer of the range.

    Raises:
        RoundParametersInvalid: another type, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise RoundParametersInvalid(
            f"{field} is {value!r}", expected=f"an integer from {lowest} to {highest}", field=field
        )
    return value


def ppm(value: float) -> int:
    """A ratio in millionths."""
    return round(value * PPM)
