"""The life of a round: start, end of the collection, abortion.

`in_progress -> aggregating -> verifying -> completed`, and `failed` from any of the first three. The step from
`aggregating` is in `aggregation`, the one from `verifying` in `release`.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from federation.errors import RoundMissing, RoundOpen, RoundStateConflict
from federation.masking.steps import Step
from federation.models import Campaign, ModelVersion, Participant, TrainingRound
from federation.round_config import RoundConfig
from federation.services import model_versions, reputation
from federation.services.attendance import Attendance
from federation.services.masking import steps as masking_steps
from federation.services.queue import AGGREGATE_ROUND, enqueue
from federation.services.round_failure import fail_round
from federation.services.round_plan import plan_round
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from ledger.services.locking import lock_chain
from ledger.services.proposals import withdraw
from privacy.services import budget


def start_round(*, actor: str, campaign: Campaign | None = None, clock: Clock, **choices: Any) -> TrainingRound:
    """Start the next round of a model and fix everything about it; what is not given comes from the settings.

    Args:
        actor: who starts it.
        choices: as `round_plan.plan_round`.

    Raises:
        BudgetExhausted, and everything that `plan_round` raises.
    """
    with transaction.atomic():
        plan = plan_round(clock=clock, **choices)
        config = plan.config
        model_versions.ensure_parent(model_name=config.model_name, clock=clock)
        training_round = _create(config, campaign, clock)
        Participant.objects.bulk_create(
            Participant(training_round=training_round, organization=organization) for organization in plan.organizations
        )
        budget.reserve(org_ids=config.participants, round_id=config.round_id, mechanism=config.privacy, clock=clock)
        record_event(
            kind="round.started",
            actor=actor,
            subject=config.round_id,
            data={
                "model": config.model_name,
                "number": config.round_number,
                "config_hash": config.config_hash,
                "participants": list(config.participants),
                "min_orgs": config.min_orgs,
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
