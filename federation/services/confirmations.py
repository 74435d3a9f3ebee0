"""The two-person rule: what one operator asks for happens when another one confirms it.

A request that nobody decides expires: `reconcile` closes it, and from its deadline on nobody can confirm it any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from federation.errors import (
    ConfirmationClosed,
    ConfirmationMissing,
    ConfirmationWaiting,
    SecondPersonNeeded,
)
from federation.models import ConfirmationRequest
from federation.selectors.confirmations import waiting_confirmation
from federation.services.guarded_actions import audit_subject, carry_out, require_possible
from federation.services.reasons import checked_reason
from federation.services.transitions import COORDINATOR
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event

Action = ConfirmationRequest.Action
Status = ConfirmationRequest.Status
LIFETIME = timedelta(hours=24)


def request_action(
    *, action: Action, subject: str, reason: str, actor: str, clock: Clock
) -> ConfirmationRequest | None:
    """Ask for an action that a second operator then confirms; whoever asks again gets the same request.

    Args:
        subject: org_id, round_id, or the campaign's number.
        reason: for the second operator to judge, and for the audit trail.

    Returns:
        The request; None if the rule is off (`FL_TWO_PERSON=false`) and the action was done at once.

    Raises:
        ReasonInvalid: no single line of at most 300 characters.
        ConfirmationWaiting: another operator has asked for it already.
        OrganizationMissing, OrganizationStateConflict, RoundMissing, RoundStateConflict, CampaignMissing,
        CampaignStateConflict: it is not possible now.
    """
    reason = checked_reason(reason)
    if not settings.FLXDR.two_person:
        carry_out(action=action, subject=subject, reason=reason, actor=actor, clock=clock)
        return None
    now = clock.now()
    with transaction.atomic():
        require_possible(action=action, subject=subject)
        for overdue in _overdue(now).filter(action=action, subject=subject):
            _close(overdue, Status.EXPIRED, COORDINATOR, clock)
        waiting = waiting_confirmation(action, subject, now)
        if waiting is None:
            return _create(action, subject, reason, actor, clock)
        if waiting.requested_by != actor:
            raise _waits(waiting)
        return waiting


def request_or_confirm(
    *, action: Action, subject: str, reason: str, actor: str, clock: Clock
) -> ConfirmationRequest | None:
    """As `request_action`; the same wish of a second operator is the confirmation.

    Returns:
        The request, `waiting` or `confirmed`; None if the rule is off and the action was done at once.
    """
    if settings.FLXDR.two_person:
        waiting = waiting_confirmation(action, subject, clock.now())
        if waiting is not None and waiting.requested_by != actor:
            return confirm(request_id=waiting.pk, actor=actor, clock=clock)
    return request_action(action=action, subject=subject, reason=reason, actor=actor, clock=clock)


def confirm(*, request_id: int, actor: str, clock: Clock) -> ConfirmationRequest:
    """Have a request carried out; the events of what is done then name both operators.

    Raises:
        ConfirmationMissing: there is no such request.
        ConfirmationClosed: it is confirmed, cancelled or expired.
        SecondPersonNeeded: the one who asked for it cannot confirm it.
        OrganizationMissing, OrganizationStateConflict, RoundMissing, RoundStateConflict, CampaignMissing,
        CampaignStateConflict: it has become impossible; the request waits on, until it is cancelled or expires.
    """
    with transaction.atomic():
        request = _request(request_id)
        if request.requested_by == actor:
            raise SecondPersonNeeded(
                f"{actor} asked for this",
                expected="another operator",
                action="Let a second operator confirm it, or cancel it.",
            )
        _require_open(request, clock.now())
        if not _close(request, Status.CONFIRMED, actor, clock):
            raise ConfirmationClosed("the request was decided at this moment", action="Read it again.")
        carry_out(
            action=Action(request.action),
            subject=request.subject,
            reason=request.reason,
            actor=f"{request.requested_by} and {actor}",
            clock=clock,
        )
        return request


def cancel(*, request_id: int, actor: str, clock: Clock) -> ConfirmationRequest:
    """Give a request up; whoever asked for it may do so, and any other operator.

    Raises:
        ConfirmationMissing, ConfirmationClosed
    """
    with transaction.atomic():
        request = _request(request_id)
        _require_open(request, clock.now())
        if not _close(request, Status.CANCELLED, actor, clock):
            raise ConfirmationClosed("the request was decided at this moment", action="Read it again.")
        return request


def expire_overdue(*, clock: Clock) -> int:
    """Close the requests whose time is over; returns how many."""
    expired = 0
    for overdue in _overdue(clock.now()):
        with transaction.atomic():
            expired += _close(overdue, Status.EXPIRED, COORDINATOR, clock)
    return expired


def _create(action: Action, subject: str, reason: str, actor: str, clock: Clock) -> ConfirmationRequest:
    now = clock.now()
    try:
        with transaction.atomic():
            request = ConfirmationRequest.objects.create(
                action=action,
                subject=subject,
                reason=reason,
                requested_by=actor,
                requested_at=now,
                expires_at=now + LIFETIME,
            )
    except IntegrityError as error:
        raise ConfirmationWaiting(
            f"another operator asked for this at this moment: {action.label}", action="Read the requests that wait."
        ) from error
    _record(request, "requested", actor, clock)
    return request


def _close(request: ConfirmationRequest, status: Status, actor: str, clock: Clock) -> bool:
    """Decide a request that waits, and record it; returns whether this call did."""
    values = {"status": status, "decided_by": actor, "decided_at": clock.now()}
    if ConfirmationRequest.objects.filter(pk=request.pk, status=Status.WAITING).update(**values) != 1:
        return False
    request.refresh_from_db()
    _record(request, status.value, actor, clock)
    return True


def _request(request_id: int) -> ConfirmationRequest:
    request = ConfirmationRequest.objects.filter(pk=request_id).first()
    if request is None:
        raise ConfirmationMissing(f"no request {request_id}")
    return request


def _require_open(request: ConfirmationRequest, now: datetime) -> None:
    overdue = request.status == Status.WAITING and request.expires_at <= now
    if overdue or request.status != Status.WAITING:
        state = Status.EXPIRED.value if overdue else request.status
        raise ConfirmationClosed(
            f"the request is {state}", expected="a request that waits", action="Ask for the action again."
        )


def _waits(request: ConfirmationRequest) -> ConfirmationWaiting:
    return ConfirmationWaiting(
        f"{request.requested_by} has asked for this already",
        action=f"Confirm request {request.pk}, or cancel it.",
        request_id=request.pk,
    )


def _overdue(now: datetime) -> QuerySet[ConfirmationRequest]:
    return ConfirmationRequest.objects.filter(status=Status.WAITING, expires_at__lte=now)


def _record(request: ConfirmationRequest, event: str, actor: str, clock: Clock) -> None:
    action = Action(request.action)
    record_event(
        kind=f"confirmation.{event}",
        actor=actor,
        subject=audit_subject(action=action, subject=request.subject),
        data={
            "request": request.pk,
            "action": action.value,
            "reason": request.reason,
            "requested_by": request.requested_by,
        },
        clock=clock,
    )
