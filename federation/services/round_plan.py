"""What a round would be: everything that its start fixes, and what would refuse it. Nothing is written here."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max

import ledger.selectors
import privacy.selectors
from federation import selectors
from federation.errors import IncompatibleProtection, RoundOpen, WrongRoundNumber
from federation.models import Organization, TrainingRound
from federation.protection.paillier import PAILLIER
from federation.round_config import RoundConfig
from federation.services import model_versions, round_privacy, round_setup
from flxdr.core.clock import Clock
from flxdr.core.errors import FlxdrError
from ledger.selectors.releases import releases_of
from models_ml.fixed_point import MAX_UPDATE
from privacy.selectors import Forecast
from privacy.services import budget


@dataclass(frozen=True)
class RoundPlan:
    """A round as it would start now."""

    config: RoundConfig
    organizations: Sequence[Organization]


@dataclass(frozen=True)
class Outlook:
    """A plan, what it would cost everybody who takes part, and what refuses it.

    Attributes:
        plan: None where the choice itself is refused.
        forecasts: the participants' budgets, the shortest first; none where the rounds charge nothing.
        refusal: what the start would answer.
    """

    plan: RoundPlan | None
    rounds: int
    forecasts: Sequence[Forecast]
    refusal: FlxdrError | None


def plan_round(
    *,
    model_name: str | None = None,
    round_number: int | None = None,
    aggregation_method: str | None = None,
    aggregation_params: Mapping[str, Any] | None = None,
    min_orgs: int | None = None,
    protection: str | None = None,
    privacy: Mapping[str, Any] | None = None,
    weighting: str | None = None,
    local: Mapping[str, int] | None = None,
    timeout: int | None = None,
    clock: Clock,
) -> RoundPlan:
    """Everything about the next round of a model; what is not given comes from the settings.

    Args:
        round_number: must be the next one, when given.
        min_orgs: updates that the round needs; raised to what the aggregation can stand.
        privacy: the round's own `mode`, `epsilon_ppm`, `clip_ppm` (see `round_privacy.noise_goal`).
        timeout: seconds until the collection ends.

    Raises:
        ModelMissing, RoundOpen, WrongRoundNumber, TooFewOrganizations, TooManyUpdates, IncompatibleAggregation,
        IncompatibleProtection, BasisMissing, PrivacyRequired, RoundParametersInvalid, MethodInvalid,
        MechanismUnavailable, PrivacyParameterInvalid
    """
    model_name = model_name or settings.FLXDR.default_model
    model_versions.require_known(model_name)
    seconds = round_setup.bounded(
        settings.FLXDR.federation_timeout if timeout is None else timeout, 1, round_setup.MAX_TIMEOUT, field="timeout"
    )
    chosen = round_setup.aggregation(model_name, aggregation_method, aggregation_params, weighting)
    goal = round_privacy.noise_goal(model_name, privacy)
    number = _next_number(model_name, round_number)
    organizations = selectors.eligible_organizations()
    protected = round_setup.protection_of(protection, chosen, organizations)
    needed = round_setup.minimum_of(min_orgs, chosen, organizations)
    parent = model_versions.origin_of(model_name)
    if protected.is_masked and parent.schema is None:
        raise IncompatibleProtection(
            f"{model_name} has no schema yet, and a masked update cannot fix one",
            expected="a model of the registry, or one that an earlier round fixed",
            action="Start its first round with protection plain.",
        )
    local_training = round_setup.local_training(model_name, chosen, local)
    shares = round_privacy.noise_shares(protected, least=needed, most=len(organizations))
    mechanism = round_privacy.mechanism_of(model_name, goal, local_training, shares)
    config = RoundConfig(
        chain_id=ledger.selectors.chain_id(),
        round_id=f"round-{number}-{secrets.token_hex(6)}",
        round_number=number,
        model_name=model_name,
        model_schema=None
        if parent.schema is None
        else tuple((tensor.name, tensor.shape) for tensor in parent.schema.tensors),
        parent_hash=parent.model_hash,
        parent_version=parent.version,
        aggregation_method=chosen.method,
        aggregation_params=chosen.params,
        weighting=chosen.weighting,
        optimizer_state_hash=round_setup.optimizer_state(parent.row, chosen),
        protection=protected.name,
        frac_bits=protected.frac_bits,
        max_abs=MAX_UPDATE,
        clip_norm_ppm=round_privacy.clip_norm_ppm(mechanism),
        n_max=len(organizations),
        privacy=mechanism,
        local=local_training,
        participants=tuple(organization.org_id for organization in organizations),
        min_orgs=needed,
        deadline=clock.now() + timedelta(seconds=seconds),
        masking_buckets=protected.buckets,
        step_seconds=settings.FLXDR.masking_step_timeout if protected.is_masked else 0,
        modulus_bits=int(settings.FLXDR.paillier_modulus_bits) if protected.name == PAILLIER.name else 0,
    )
    return RoundPlan(config, organizations)


def outlook_on_round(*, clock: Clock, rounds: int = 1, **choices: Any) -> Outlook:
    """What `rounds` rounds of these choices would cost, and whether the first of them could start now.

    Args:
        choices: as `plan_round`.
    """
    try:
        plan = plan_round(clock=clock, **choices)
    except FlxdrError as error:
        return Outlook(None, rounds, [], error)
    return outlook_of(plan, rounds)


def outlook_of(plan: RoundPlan, rounds: int) -> Outlook:
    """What `rounds` rounds of a plan would cost; the refusal is that of the first one."""
    config = plan.config
    forecasts = privacy.selectors.forecast(config.participants, config.privacy, rounds)
    try:
        budget.require_affordable(org_ids=config.participants, mechanism=config.privacy)
    except FlxdrError as error:
        return Outlook(plan, rounds, forecasts, error)
    return Outlook(plan, rounds, forecasts, None)


def _next_number(model_name: str, requested: int | None) -> int:
    rounds = TrainingRound.objects.filter(model_name=model_name)
    open_round = rounds.filter(status__in=TrainingRound.OPEN).first()
    if open_round is not None:
        raise RoundOpen(
            f"{open_round.round_id} of {model_name} is {open_round.status}",
            action="Wait until it has ended, or abort it.",
            round_id=open_round.round_id,
        )
    released = releases_of(model_name)
    # The chain may know of later rounds than the rows do: it was restored further than its backup.
    known = max(rounds.aggregate(last=Max("number"))["last"] or 0, released.newest.round_number if released else 0)
    number = known + 1
    if requested is not None and requested != number:
        raise WrongRoundNumber(
            f"round {requested} of {model_name} is not the next one", expected=str(number), next_round_number=number
        )
    return number
