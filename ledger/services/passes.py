"""Full passes over the chain: asked for, made by one worker at a time, and their outcome kept for everybody.

A pass checks every signature of every block and takes minutes on a long chain. So one is due at most, whoever claims
it makes it, and what it found is what all processes answer from until the next one has ended.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery import current_app
from django.db import transaction
from django.db.models import Q, QuerySet

from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event
from ledger import selectors
from ledger.models import Block, VerificationPass
from ledger.services.verification import Outcome, run_pass

VERIFY_WHOLE = "ledger.tasks.verify_whole"
LEASE = timedelta(seconds=60)
"""How long a worker may be silent before another one begins its pass anew."""
RENEW_SECONDS = 5.0
VERIFIED = "chain.verified"

Status = VerificationPass.Status
Source = VerificationPass.Source


class Superseded(Exception):
    """Another worker makes the pass by now."""


@dataclass(frozen=True)
class Head:
    """The newest block; height -1 and no hash where there is none."""

    height: int
    block_hash: str

    @classmethod
    def read(cls) -> Head:
        newest = Block.objects.order_by("-height").values_list("height", "block_hash").first()
        return cls(-1, "") if newest is None else cls(*newest)


def request_pass(*, source: Source, actor: str) -> None:
    """Ask for a full pass; one that is due already is enough."""
    if selectors.due_pass() is not None:
        return
    due = VerificationPass(status=Status.DUE, source=source, actor=actor)
    VerificationPass.objects.bulk_create([due], ignore_conflicts=True)

    def send() -> None:  # a function: Django cannot log the failure of a `partial`, and raises instead
        current_app.send_task(VERIFY_WHOLE)

    transaction.on_commit(send, robust=True)


def make_overdue_pass(*, interval: timedelta, clock: Clock) -> VerificationPass | None:
    """Make a full pass if somebody asked for one, or the last one began longer ago than `interval`; the outcome."""
    last = selectors.last_pass()
    if last is None or last.began_at is None or last.began_at + interval <= clock.now():
        due = VerificationPass(status=Status.DUE, source=Source.BEAT, actor="beat")
        VerificationPass.objects.bulk_create([due], ignore_conflicts=True)
    return make_due_pass(clock=clock)


def make_due_pass(*, clock: Clock) -> VerificationPass | None:
    """Make the full pass that is due, if there is one that nobody makes; the outcome."""
    token = secrets.token_hex(16)
    head, began_at = Head.read(), clock.now()
    free = VerificationPass.objects.filter(Q(token="") | Q(lease_until__lte=began_at), status=Status.DUE)
    if free.update(token=token, lease_until=began_at + LEASE, blocks_done=0) != 1:
        return None
    held = VerificationPass.objects.filter(status=Status.DUE, token=token)
    due = held.get()
    try:
        outcome = run_pass(clock=clock, progress=_renewal(held, clock))
    except Superseded:
        return None
    except BaseException:
        held.update(token="", lease_until=None)
        raise
    with transaction.atomic():
        held.delete()
        return keep(
            outcome, head=head, began_at=began_at, source=Source(due.source), actor=due.actor, told=True, clock=clock
        )


def keep(
    outcome: Outcome,
    *,
    head: Head,
    began_at: datetime,
    source: Source,
    actor: str,
    told: bool,
    clock: Clock,
) -> VerificationPass | None:
    """Keep the outcome of a full pass, unless one that began later is kept already; what is kept.

    Args:
        head: read before the pass began.
        told: an audit event is written; else only if the chain was found good before and bad now, or the other way.
    """
    report = outcome.report
    with transaction.atomic():
        before = selectors.last_pass()
        values = {
            "source": source,
            "actor": actor,
            "began_at": began_at,
            "ended_at": clock.now(),
            "tip": head.height,
            "tip_hash": head.block_hash,
            "valid": report.chain_valid,
            "report": report.as_json(),
            "memory": outcome.memory.as_json() if outcome.memory else None,
            "verified_to": outcome.verified_to,
        }
        older = VerificationPass.objects.filter(status=Status.ENDED, began_at__lte=began_at)
        if older.update(**values) != 1:
            VerificationPass.objects.bulk_create(
                [VerificationPass(status=Status.ENDED, **values)], ignore_conflicts=True
            )
        if told or before is None or before.valid != report.chain_valid:
            _tell(outcome, actor, clock)
    return selectors.last_pass()


def remember(outcome: Outcome, *, since: VerificationPass) -> None:
    """Let later passes continue where this one, which continued `since`, ended."""
    if outcome.memory is not None:
        VerificationPass.objects.filter(
            pk=since.pk, began_at=since.began_at, verified_to__lt=outcome.verified_to
        ).update(memory=outcome.memory.as_json(), verified_to=outcome.verified_to)


def _renewal(held: QuerySet[VerificationPass], clock: Clock) -> Callable[[int], None]:
    due = time.monotonic() + RENEW_SECONDS

    def renew(height: int) -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        if held.update(lease_until=clock.now() + LEASE, blocks_done=height + 1) != 1:
            raise Superseded
        due = time.monotonic() + RENEW_SECONDS

    return renew


def _tell(outcome: Outcome, actor: str, clock: Clock) -> None:
    report = outcome.report
    bad = report.first_bad
    data = {
        "valid": report.chain_valid,
        "height": report.blocks_verified - 1,
        "head": report.last_block_hash,
        "first_bad": {"height": bad.height, "code": bad.code, "field": bad.field} if bad else None,
        "warnings": len(report.warnings),
    }
    level = logging.INFO if report.chain_valid else logging.ERROR
    record_event(kind=VERIFIED, actor=actor, subject="chain", data=data, clock=clock, level=level)
