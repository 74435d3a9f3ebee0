"""The one way by which a round changes its status: a conditional update and its record."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from federation.models import TrainingRound
from flxdr.core.clock import Clock
from flxdr.platform.audit import record_event

Status = TrainingRound.Status
COORDINATOR = "coordinator"


def move(
    *,
    round_id: str,
    source: Status,
    target: Status,
    actor: str,
    reason: str,
    clock: Clock,
    token: str | None = None,
    **fields: Any,
) -> bool:
    """Move a round from `source` to `target` if it still is in `source` (and held by `token`, where one is given).

    Must run inside a transaction. Sets `fields`, gives up any claim, and records who, when, from, to and why.

    Returns:
        Whether this call moved it; if not, somebody else did and nothing was written.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a transition belongs into a transaction")
    rounds = TrainingRound.objects.filter(round_id=round_id, status=source)
    if token is not None:
        rounds = rounds.filter(token=token)
    if rounds.update(status=target, token="", lease_until=None, **fields) != 1:
        return False
    record_event(
        kind="round.transition",
        actor=actor,
        subject=round_id,
        data={"from": source.value, "to": target.value, "reason": reason},
        clock=clock,
    )
    return True
