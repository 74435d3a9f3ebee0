"""What a round is started with: the caller's choices, the settings' defaults, and the checks on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from federation import selectors
from federation.aggregation import registry
from federation.aggregation.fedavg import FedAvg
from federation.aggregation.fedprox import FedProx
from federation.aggregation.strategy import Strategy
from federation.aggregation.weighting import WEIGHTINGS
from federation.errors import BasisMissing, IncompatibleAggregation, RoundParametersInvalid, TooFewOrganizations
from federation.models import ModelVersion, Organization
from federation.protection import registry as protections
from federation.protection.interface import Combination
from federation.round_config import PPM, LocalTraining
from models_ml.registry import EDGE_NORMALISER, MODELS, TGNN

DEFAULT_MINIMUM = 2
"""Organisations that a round needs when nobody says otherwise: with one alone there is nothing to federate."""
DEFAULT_EPOCHS = 1

_LOCAL_BOUNDS = {
    "epochs": (1, 1000),
    "batch_size": (1, 1_000_000),
    "learning_rate_ppm": (1, 100 * PPM),
    "proximal_ppm": (0, 100 * PPM),
}
MAX_TIMEOUT = 30 * 86400


@dataclass(frozen=True)
class Aggregation:
    """A checked choice of method, its parameters with every default written out, and the weighting."""

    method: str
    params: Mapping[str, int | str]
    weighting: str
    strategy: Strategy


def aggregation(
    model_name: str, method: str | None, params: Mapping[str, Any] | None, weighting: str | None
) -> Aggregation:
    """The strategy of a round: what the caller chose, and beneath it what the settings say of the same method.

    Raises:
        MethodInvalid: no such method or parameter.
        RoundParametersInvalid: no such weighting.
        IncompatibleAggregation: the model cannot be aggregated in this way.
    """
    if method is None:
        method = FedAvg.name if model_name == EDGE_NORMALISER else settings.FLXDR.aggregation_method
    chosen = _configured(method, params or {}) | dict(params or {})
    strategy = registry.build(method, chosen)
    how = _weighting(model_name, weighting)
    if model_name == EDGE_NORMALISER and (method, how) != (FedAvg.name, "samples"):
        raise IncompatibleAggregation(
            f"{model_name} pools exact statistics, which {method} with {how} weights would distort",
            expected=f"aggregation_method {FedAvg.name} and weighting samples",
            action="Leave both out: they are this model's defaults.",
        )
    return Aggregation(method, registry.resolved(method, chosen), how, strategy)


def aggregation_choice(
    method: str | None, robust_method: str | None, params: Mapping[str, int] | None
) -> dict[str, Any]:
    """The arguments of `start_round` for a choice that people make in three fields; the empty ones are left out."""
    chosen: dict[str, Any] = {**(params or {}), **({registry.ROBUST_METHOD: robust_method} if robust_method else {})}
    return ({"aggregation_method": method} if method else {}) | ({"aggregation_params": chosen} if chosen else {})


def _configured(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings' parameters for a method.

    `FL_AGGREGATION_PARAMS` belongs to the method that is set and to no other, nor to another robust method.
    """
    env = settings.FLXDR
    configured: dict[str, Any] = {}
    is_set = method == env.aggregation_method
    if method == FedProx.name:
        configured["lambda_ppm"] = ppm(env.proximal_parameter)
    elif method == registry.ROBUST:
        configured[registry.ROBUST_METHOD] = env.aggregation_robust_method
        is_set = is_set and params.get(registry.ROBUST_METHOD, env.aggregation_robust_method) == (
            env.aggregation_robust_method
        )
    return configured | dict(env.aggregation_params or {}) if is_set else configured


def optimizer_state(parent: ModelVersion | None, chosen: Aggregation) -> str | None:
    """The state file with which the round's server optimiser goes on: the one that its own method left at the parent.

    None starts the state anew: after another method, whose state means something else, and at a model's beginning.
    """
    if parent is None or parent.training_round is None or parent.training_round.aggregation_method != chosen.method:
        return None
    return parent.optimizer_state_digest or None


def _weighting(model_name: str, how: str | None) -> str:
    """How organisations are weighed: by samples, except that agents' models cap what one organisation can claim."""
    if how is None:
        return "capped" if model_name in MODELS and model_name != EDGE_NORMALISER else "samples"
    if how not in WEIGHTINGS:
        raise RoundParametersInvalid(f"weighting {how!r}", expected=" | ".join(WEIGHTINGS), field="weighting")
    return how


def local_training(model_name: str, chosen: Aggregation, overrides: Mapping[str, int] | None) -> LocalTraining:
    """How organisations train in the round; FedProx brings its proximal term, others none.

    Raises:
        RoundParametersInvalid: an unknown name, or a value out of range.
        BasisMissing: a model that this one cannot do without has no release.
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
    basis = _basis(model_name)
    return LocalTraining(**values, normaliser_hash=basis.get(EDGE_NORMALISER), network_hash=basis.get(TGNN))


def _basis(model_name: str) -> Mapping[str, str]:
    """Hashes of the newest releases that the model builds on, by name.

    Raises:
        BasisMissing: there is no release of a model without which it cannot be trained.
    """
    spec = MODELS.get(model_name)
    if spec is None:
        return {}
    released = {name: selectors.released_version(name) for name in spec.builds_on}
    missing = sorted(name for name in spec.requires if released[name] is None)
    if missing:
        raise BasisMissing(
            f"{model_name} builds on {', '.join(missing)}, of which no release stands",
            expected=f"a release of {' and of '.join(missing)}",
            action=f"Train {missing[0]} first.",
        )
    return {name: version.model_hash for name, version in released.items() if version is not None}


@dataclass(frozen=True)
class ChosenProtection:
    """A protection that can be combined with the round's aggregation; `buckets` as in the configuration."""

    name: str
    frac_bits: int
    is_masked: bool
    buckets: int


def protection_of(name: str | None, chosen: Aggregation, participants: Sequence[Organization]) -> ChosenProtection:
    """The protection of a round, checked against its aggregation and its participants.

    Raises:
        RoundParametersInvalid: no such protection.
        IncompatibleProtection: it cannot be combined with them.
    """
    protection = protections.get(name or settings.FLXDR.protection)
    combination = Combination(
        method=chosen.method,
        robust_method=chosen.strategy.name if chosen.method == registry.ROBUST else None,
        minimum=chosen.strategy.minimum(),
        participants=len(participants),
        keyless=tuple(
            organization.org_id
            for organization in participants
            if organization.key_status != Organization.KeyStatus.PROVEN
        ),
    )
    return ChosenProtection(
        protection.name, protection.frac_bits, protection.is_masked, protection.buckets_for(combination)
    )


def minimum_of(requested: int | None, chosen: Aggregation, participants: Sequence[Organization]) -> int:
    """The number of updates that the round needs: what was asked for, and never fewer than the strategy can stand.

    Raises:
        RoundParametersInvalid: less than one was asked for.
        TooFewOrganizations: more are needed than would take part.
        TooManyUpdates: more would take part than the strategy can combine exactly.
    """
    if requested is not None:
        bounded(requested, 1, 2**31 - 1, field="min_orgs_required")
    minimum = chosen.strategy.minimum()
    needed = max(requested or DEFAULT_MINIMUM, minimum)
    if len(participants) < needed:
        stands = len(participants) >= minimum
        raise TooFewOrganizations(
            f"{len(participants)} organizations would take part and {needed} are needed"
            + ("" if stands else f" ({minimum} for {chosen.strategy.name})"),
            expected=f"at least {needed} active organizations whose keys, if they have any, are admitted to the chain",
            action="Lower min_orgs_required, or wait for more organizations." if stands else chosen.strategy.instead,
            participants=[organization.org_id for organization in participants],
            required=needed,
            aggregation_minimum=minimum,
        )
    chosen.strategy.require(len(participants))  # everybody may submit
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
