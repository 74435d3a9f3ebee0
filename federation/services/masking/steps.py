"""The steps of a masked collection: each ends when everybody whom it asks has answered, or at its deadline."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from federation.masking import ciphertexts
from federation.masking.steps import Step, following
from federation.models import TrainingRound
from federation.selectors.masking import Collection
from federation.services import reputation, round_failure
from federation.services.attendance import Attendance
from federation.services.queue import AGGREGATE_ROUND, enqueue
from federation.services.transitions import COORDINATOR, Status, move
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from privacy.secagg.group import FEWEST


def advance(training_round: TrainingRound, clock: Clock) -> bool:
    """End the present step if it is due: begin the next one, end the collection, or fail the round.

    Runs in the caller's transaction, which has locked the round.

    Returns:
        Whether this call ended the collection.
    """
    collection = Collection.of(training_round)
    if collection.step == Step.OPEN:
        return _opened(training_round, clock)
    awaited = collection.awaited()
    if awaited and clock.now() < training_round.deadline:
        return False
    failure = _shortfall(collection)
    if failure is not None:
        code, reason = failure
        return round_failure.fail_round(
            round_id=training_round.round_id, code=code, reason=reason, sources=(Status.IN_PROGRESS,), clock=clock
        )
    if collection.step == Step.MASKED_INPUT:
        reputation.note_missed(training_round)
    next_step = following(collection.step, collection.config)
    if next_step is None:
        reason = f"without {', '.join(sorted(awaited))}" if awaited else "every organization has unmasked"
        return _end(training_round, reason, clock)
    _begin(collection, next_step, awaited, clock)
    return False


def _shortfall(collection: Collection) -> tuple[str, str] | None:
    """Why the round cannot go on after the present step; None if it can."""
    needed = max(1, collection.config.masking_buckets)
    gathering = collection.step in (Step.ADVERTISE, Step.REVEAL)
    if not gathering and (lost := _lost_groups(collection, needed)) is not None:
        return lost
    if (keyless := _keyless(collection)) is not None:
        return keyless
    participants = frozenset(collection.config.participants)
    dropped = sorted(participants - collection.remaining(collection.step))
    failure = Attendance(len(participants), dropped).shortfall(minimum=collection.config.min_orgs)
    if failure is not None:
        code, reason = failure
        return code, f"after the step {collection.step}: {reason}"
    return _unmaskable(collection, needed) if gathering else None


def _lost_groups(collection: Collection, needed: int) -> tuple[str, str] | None:
    """Whether too few groups can still be unmasked."""
    groups = len(collection.groups(collection.step))
    if groups >= needed:
        return None
    silent = frozenset(collection.config.participants) - collection.answers.get(collection.step, frozenset())
    return "too_few_groups", (
        f"after the step {collection.step}: {groups} of {needed} groups are left with enough members to unmask "
        f"their sum; missing: {', '.join(sorted(silent))}"
    )


def _keyless(collection: Collection) -> tuple[str, str] | None:
    """Whether the key of a Paillier round is missing after the step in which it is handed out."""
    if collection.step != Step.SHARES or not collection.config.modulus_bits:
        return None
    makers = ciphertexts.makers(collection.roster)
    if not collection.remaining(Step.SHARES).isdisjoint(makers):
        return None
    return "no_round_key", f"none of the organizations that make the round's key shared it: {', '.join(makers)}"


def _unmaskable(collection: Collection, needed: int) -> tuple[str, str] | None:
    """Whether those who advertised can make the groups."""
    smallest = FEWEST * needed
    joined = len(collection.remaining(collection.step))
    if joined < smallest:
        return "too_few_submissions", f"{joined} organizations joined, {smallest} are needed to mask"
    return None


def _begin(collection: Collection, step: Step, dropped: frozenset[str], clock: Clock) -> None:
    training_round = collection.training_round
    TrainingRound.objects.filter(pk=training_round.pk).update(
        step=step, deadline=clock.now() + timedelta(seconds=collection.config.step_seconds)
    )
    record_event(
        kind="round.step",
        actor=COORDINATOR,
        subject=training_round.round_id,
        data={"from": collection.step, "to": step, "dropped": sorted(dropped)},
        clock=clock,
    )


def _opened(training_round: TrainingRound, clock: Clock) -> bool:
    """End the step in which the sums are opened: with an opening, or with its time."""
    if training_round.opening_digest:
        return _end(training_round, "the sums are opened", clock)
    if clock.now() < training_round.deadline:
        return False
    return round_failure.fail_round(
        round_id=training_round.round_id,
        code="sum_not_opened",
        reason="none of the organizations that hold the round's key opened its sums in time",
        sources=(Status.IN_PROGRESS,),
        clock=clock,
    )


def _end(training_round: TrainingRound, reason: str, clock: Clock) -> bool:
    with transaction.atomic():
        closed = move(
            round_id=training_round.round_id,
            source=Status.IN_PROGRESS,
            target=Status.AGGREGATING,
            actor=COORDINATOR,
            reason=reason,
            clock=clock,
            closed_at=clock.now(),
        )
        if closed:
            enqueue(AGGREGATE_ROUND, round_id=training_round.round_id)
        return closed
