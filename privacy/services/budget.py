"""The privacy budget: reserved before noise is drawn, spent when an update was used, released on a signature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction

from flxdr.core import dsse
from flxdr.core.clock import Clock
from flxdr.core.keys import SignatureInvalid
from flxdr.platform.audit import record_event
from flxdr.platform.auth import directory
from privacy import selectors, statements
from privacy.dp.accountant import Release, epsilon_ppm
from privacy.dp.composition import PPM
from privacy.errors import (
    BudgetExhausted,
    ReservationExists,
    ReservationMissing,
    ReservationSpent,
    StatementInvalid,
)
from privacy.mechanism import NONE, parse
from privacy.models import BudgetAccount, BudgetEntry

Kind = BudgetEntry.Kind
ACTOR = "privacy"
_log = structlog.get_logger("flxdr.privacy")


def reserve(*, org_ids: Sequence[str], round_id: str, mechanism: Mapping[str, Any], clock: Clock) -> None:
    """Reserve a round's cost for every organisation, or for none of them.

    Runs in the caller's transaction, which holds the accounts' locks until it ends: of two rounds that want the last
    part of a budget one gets it. A mechanism of `none` reserves nothing.

    Raises:
        BudgetExhausted: for some organisation, epsilon(charged so far + this round) exceeds `FL_PRIVACY_EPSILON`.
        ReservationExists: the round already reserved.
        PrivacyParameterInvalid: the mechanism is malformed.
        TransactionManagementError: not inside a transaction.
    """
    parsed = parse(mechanism)
    if parsed is None or not org_ids:
        return
    lock_accounts(org_ids)
    if BudgetEntry.objects.filter(account__org_id__in=org_ids, round_id=round_id, kind=Kind.RESERVED).exists():
        raise ReservationExists(f"round {round_id} has already reserved budget")
    try:
        _require_budget(org_ids, parsed.release)
    except BudgetExhausted as error:
        _log.error("budget exhausted", round_id=round_id, reason=error.detail, **error.fields)
        raise
    BudgetEntry.objects.bulk_create(
        BudgetEntry(
            account_id=org_id,
            round_id=round_id,
            kind=Kind.RESERVED,
            mechanism=mechanism["mechanism"],
            delta_ppt=parsed.delta_ppt,
            **asdict(parsed.release),
            recorded_at=clock.now(),
        )
        for org_id in sorted(org_ids)
    )
    record_event(
        kind="budget.reserved",
        actor=ACTOR,
        subject=round_id,
        data={"organizations": sorted(org_ids), "mechanism": dict(mechanism)},
        clock=clock,
    )


def require_affordable(*, org_ids: Sequence[str], mechanism: Mapping[str, Any]) -> None:
    """Refuse what `reserve` would refuse now because of somebody's budget; reserves nothing.

    Raises:
        BudgetExhausted, PrivacyParameterInvalid
    """
    parsed = parse(mechanism)
    if parsed is not None and org_ids:
        _require_budget(org_ids, parsed.release)


def settle(*, round_id: str, org_ids: Sequence[str], clock: Clock) -> None:
    """Record that the round used these organisations' updates. Repeating it changes nothing.

    A reservation becomes spent; an update of a round that reserved nothing is recorded as unprotected. What was
    released and used all the same is charged again: the noise was published. Runs in the caller's transaction.

    Raises:
        TransactionManagementError: not inside a transaction.
    """
    if not org_ids:
        return
    lock_accounts(org_ids)
    entries = BudgetEntry.objects.filter(account__org_id__in=org_ids, round_id=round_id)
    settled = set(entries.filter(kind__in=(Kind.SPENT, Kind.UNPROTECTED)).values_list("account__org_id", flat=True))
    reserved = {entry.account.org_id: entry for entry in entries.filter(kind=Kind.RESERVED).select_related("account")}
    for kind, due in (
        (Kind.SPENT, sorted(org_id for org_id in set(org_ids) - settled if org_id in reserved)),
        (Kind.UNPROTECTED, sorted(org_id for org_id in set(org_ids) - settled if org_id not in reserved)),
    ):
        if not due:
            continue
        BudgetEntry.objects.bulk_create(
            _closing(reserved[org_id], kind, clock)
            if org_id in reserved
            else BudgetEntry(account_id=org_id, round_id=round_id, kind=kind, mechanism=NONE, recorded_at=clock.now())
            for org_id in due
        )
        record_event(kind=f"budget.{kind}", actor=ACTOR, subject=round_id, data={"organizations": due}, clock=clock)


@transaction.atomic
def release(
    *, round_id: str, org_id: str, statement: bytes, key_id: str, signature: bytes, clock: Clock
) -> BudgetEntry:
    """Give a reservation back on the organisation's signed statement that it drew no noise for the round.

    Repeating it answers with the first release. The caller sees to it that the organisation has submitted nothing and
    that nothing is accepted from it in this round afterwards (should it be, `settle` charges it).

    Raises:
        ReservationMissing: nothing was reserved.
        ReservationSpent: the update was already used.
        StatementInvalid: other bytes than `statements.no_noise`, a key that is not the organisation's, or a signature
            that does not verify.
    """
    lock_accounts([org_id])
    reservation = BudgetEntry.objects.filter(account__org_id=org_id, round_id=round_id, kind=Kind.RESERVED).first()
    if reservation is None:
        raise ReservationMissing(f"{org_id} has reserved no budget for round {round_id}")
    _require_statement(round_id, org_id, statement, key_id, signature)
    closings = {closing.kind: closing for closing in reservation.closings.all()}
    if Kind.SPENT in closings:
        raise ReservationSpent(
            f"the update of {org_id} was used in round {round_id}",
            expected="a reservation whose noise was never drawn",
        )
    if Kind.RELEASED in closings:
        return closings[Kind.RELEASED]
    entry = _closing(reservation, Kind.RELEASED, clock)
    entry.statement, entry.key_id, entry.signature = statement, key_id, signature
    entry.save()
    record_event(
        kind="budget.released",
        actor=f"organization:{org_id}",
        subject=round_id,
        data={"organizations": [org_id], "key_id": key_id},
        clock=clock,
    )
    return entry


def lock_accounts(org_ids: Sequence[str]) -> None:
    """Lock the organisations' accounts, making those that do not exist, until the transaction ends.

    Rows are locked in the order of their names, so that two rounds cannot wait for each other. On SQLite every
    transaction starts IMMEDIATE, which already excludes every other writer.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("the budget can only be charged inside a transaction")
    names = sorted(set(org_ids))
    BudgetAccount.objects.bulk_create([BudgetAccount(org_id=name) for name in names], ignore_conflicts=True)
    list(BudgetAccount.objects.select_for_update().filter(org_id__in=names).order_by("org_id"))


def _require_budget(org_ids: Sequence[str], release: Release) -> None:
    """Refuse the round if one of its organisations could not pay for it."""
    limit = selectors.limit_ppm()
    delta = settings.FLXDR.privacy_delta
    charged = selectors.charged(org_ids)
    short = {
        org_id: epsilon_ppm(charged[org_id], delta)
        for org_id in sorted(org_ids)
        if epsilon_ppm(charged[org_id] + Counter([release]), delta) > limit
    }
    if short:
        raise BudgetExhausted(
            f"the round would exceed the privacy budget of {', '.join(short)}",
            expected=f"a total epsilon of at most {limit / PPM:g} at delta {delta:g}",
            action="Stop training on this data, or raise FL_PRIVACY_EPSILON knowing that it weakens the guarantee.",
            epsilon_total=limit / PPM,
            epsilon_used={org_id: used / PPM for org_id, used in short.items()},
        )


def _require_statement(round_id: str, org_id: str, statement: bytes, key_id: str, signature: bytes) -> None:
    if statement != statements.no_noise(round_id=round_id, org_id=org_id):
        raise StatementInvalid(
            "the statement is not the one that releases this reservation",
            expected=statements.no_noise(round_id=round_id, org_id=org_id).decode(),
        )
    keys = {key.key_id: key for key in directory.current().look_up(org_id).signing_keys}
    if key_id not in keys:
        raise StatementInvalid(f"{key_id[:16]} is no key of {org_id}", expected="a proven key of the organisation")
    try:
        dsse.verify(keys[key_id], signature, dsse.NO_NOISE_TYPE, statement)
    except SignatureInvalid as error:
        raise StatementInvalid(error.detail, expected=f"a DSSE signature of type {dsse.NO_NOISE_TYPE}") from error


def _closing(reservation: BudgetEntry, kind: BudgetEntry.Kind, clock: Clock) -> BudgetEntry:
    """An entry that closes a reservation, with the reservation's parameters."""
    return BudgetEntry(
        account_id=reservation.account_id,
        round_id=reservation.round_id,
        kind=kind,
        reservation=reservation,
        mechanism=reservation.mechanism,
        **asdict(reservation.release),
        delta_ppt=reservation.delta_ppt,
        recorded_at=clock.now(),
    )
