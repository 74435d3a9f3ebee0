"""The life of a round: start, end of the collection, abortion.

`in_progress -> aggregating -> verifying -> completed`, and `failed` from any of the first three. The step from
`aggregating` is in `aggregation`, the one from `verifying` in `release`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

import ledger.selectors
from federation import selectors
from federation.errors import IncompatibleProtection, RoundMissing, RoundOpen, RoundStateConflict, WrongRoundNumber
from federation.masking.steps import Step
from federation.models import Campaign, ModelVersion, Participant, TrainingRound
from federation.protection.paillier import PAILLIER
from federation.round_config import RoundConfig
from federation.services import model_versions, reputation, round_privacy, round_setup
from federation.services.attendance import Attendance
from federation.services.masking import steps as masking_steps
from federation.services.queue import AGGREGATE_ROUND, enqueue
from federation.services.round_failure import fail_round
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from ledger.services.locking import lock_chain
from ledger.services.proposals import withdraw
from models_ml.codec import ModelSchema
from models_ml.fixed_point import MAX_UPDATE
from privacy.services import budget


def start_round(
    *,
    actor: str,
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
    campaign: Campaign | None = None,
    clock: Clock,
) -> TrainingRound:
    """Start the next round of a model and fix everything about it; what is not given comes from the settings.

    Args:
        actor: who starts it.
        round_number: must be the next one, when given.
        min_orgs: updates that the round needs; raised to what the aggregation can stand.
        privacy: the round's own `mode`, `epsilon_ppm`, `clip_ppm` (see `round_privacy.noise_goal`).
        timeout: seconds until the collection ends.

    Raises:
        ModelMissing, RoundOpen, WrongRoundNumber, TooFewOrganizations, TooManyUpdates, IncompatibleAggregation,
        IncompatibleProtection, PrivacyRequired, RoundParametersInvalid, MethodInvalid, BudgetExhausted,
        MechanismUnavailable, PrivacyParameterInvalid
    """
    model_name = model_name or settings.FLXDR.default_model
    model_versions.require_known(model_name)
    seconds = round_setup.bounded(
        settings.FLXDR.federation_timeout if timeout is None else timeout, 1, round_setup.MAX_TIMEOUT, field="timeout"
    )
    chosen = round_setup.aggregation(model_name, aggregation_method, aggregation_params, weighting)
    goal = round_privacy.noise_goal(model_name, privacy)
    with transaction.atomic():
        number = _next_number(model_name, round_number)
        organizations = selectors.eligible_organizations()
        protected = round_setup.protection_of(protection, chosen, organizations)
        needed = round_setup.minimum_of(min_orgs, chosen, organizations)
        parent = model_versions.ensure_parent(model_name=model_name, clock=clock)
        schema = ModelSchema.from_json(parent.schema) if parent else None
        if protected.is_masked and schema is None:
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
            model_schema=tuple((tensor.name, tensor.shape) for tensor in schema.tensors) if schema else None,
            parent_hash=parent.model_hash if parent else None,
            parent_version=parent.version if parent else 0,
            aggregation_method=chosen.method,
            aggregation_params=chosen.params,
            weighting=chosen.weighting,
            optimizer_state_hash=round_setup.optimizer_state(parent, chosen),
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
        training_round = _create(config, campaign, clock)
        Participant.objects.bulk_create(
            Participant(training_round=training_round, organization=organization) for organization in organizations
        )
        budget.reserve(org_ids=config.participants, round_id=config.round_id, mechanism=mechanism, clock=clock)
        record_event(
            kind="round.started",
            actor=actor,
            subject=config.round_id,
            data={
                "model": model_name,
                "number": number,
                "config_hash": config.config_hash,
                "participants": list(config.participants),
                "min_orgs": needed,
            },
            clock=clock,
        )
        return training_round


def close_collection(*, round_id: str, clock: Clock, actor: str = COORDINATOR) -> bool:
    """End the collection, or the step that it is at, if it is due: everybody has answered, or the deadline has passed.

    At the deadline the round goes on with at least its minimum of updates and at most `FL_MAX_ORG_FAILURE_RATE` of the
    organisations missing; else it fails and says who was missing.

    Returns:
        Whether this call ended the collection.
    """
    with transaction.atomic():
        training_round = TrainingRound.objects.select_for_update().filter(round_id=round_id).first()
        if training_round is None or training_round.status != Status.IN_PROGRESS:
            return False
        if training_round.step:
            return masking_steps.advance(training_round, clock)
        present = Attendance.of(training_round)
        now = clock.now()
        if present.missing and now < training_round.deadline:
            return False
        failure = present.shortfall(minimum=training_round.min_orgs)
        if failure is not None:
            code, reason = failure
            return fail_round(
                round_id=round_id, code=code, reason=reason, sources=(Status.IN_PROGRESS,), actor=actor, clock=clock
            )
        reason = "the deadline has passed" if present.missing else "every participant has submitted"
        closed = move(
            round_id=round_id,
            source=Status.IN_PROGRESS,
            target=Status.AGGREGATING,
            actor=actor,
            reason=reason,
            clock=clock,
            closed_at=now,
        )
        if closed:
            reputation.note_missed(training_round)
            enqueue(AGGREGATE_ROUND, round_id=round_id)
        return closed


def abort_round(*, round_id: str, actor: str, reason: str, clock: Clock) -> TrainingRound:
    """Stop an open round on an operator's word; a model that is before the organisations is withdrawn.

    Raises:
        RoundMissing: there is no such round.
        RoundStateConflict: it has ended.
    """
    with transaction.atomic():
        if not stop_round(round_id=round_id, code="aborted", reason=reason, actor=actor, clock=clock):
            require_abortable(round_id=round_id)
        return TrainingRound.objects.get(round_id=round_id)


def require_abortable(*, round_id: str) -> None:
    """Refuse what `abort_round` would refuse now."""
    training_round = TrainingRound.objects.filter(round_id=round_id).first()
    if training_round is None:
        raise RoundMissing(f"no round {round_id!r}")
    if training_round.status not in TrainingRound.OPEN:
        raise RoundStateConflict(f"the round is {training_round.status}", expected="a round that has not ended")


def stop_round(*, round_id: str, code: str, reason: str, actor: str, clock: Clock) -> bool:
    """End an open round, and take back its model if it is before the organisations.

    Returns:
        Whether this call ended it.
    """
    with transaction.atomic():
        lock_chain()
        candidate = ModelVersion.objects.filter(
            training_round__round_id=round_id, status=ModelVersion.Status.CANDIDATE
        ).first()
        if not fail_round(round_id=round_id, code=code, reason=reason, actor=actor, clock=clock):
            return False
        if candidate is not None and candidate.proposal_id is not None:
            withdraw(proposal_id=candidate.proposal_id, actor=actor, reason=f"{code}: {reason}", clock=clock)
        return True


def _next_number(model_name: str, requested: int | None) -> int:
    rounds = TrainingRound.objects.filter(model_name=model_name)
    open_round = rounds.filter(status__in=TrainingRound.OPEN).first()
    if open_round is not None:
        raise RoundOpen(
            f"{open_round.round_id} of {model_name} is {open_round.status}",
            action="Wait until it has ended, or abort it.",
            round_id=open_round.round_id,
        )
    number: int = (rounds.aggregate(last=Max("number"))["last"] or 0) + 1
    if requested is not None and requested != number:
        raise WrongRoundNumber(
            f"round {requested} of {model_name} is not the next one", expected=str(number), next_round_number=number
        )
    return number


def _create(config: RoundConfig, campaign: Campaign | None, clock: Clock) -> TrainingRound:
    try:
        with transaction.atomic():
            return TrainingRound.objects.create(
                round_id=config.round_id,
                number=config.round_number,
                model_name=config.model_name,
                config=config.encode(),
                config_hash=config.config_hash,
                aggregation_method=config.aggregation_method,
                protection=config.protection,
                step=Step.ADVERTISE if config.step_seconds else "",
                min_orgs=config.min_orgs,
                deadline=config.deadline,
                started_at=clock.now(),
                campaign=campaign,
            )
    except IntegrityError as error:
        raise RoundOpen(f"another round of {config.model_name} was started at this moment") from error
