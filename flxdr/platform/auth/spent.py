"""Spent single-use tokens."""

from __future__ import annotations

from flxdr.core.clock import Clock, SystemClock
from flxdr.platform.auth.tokens import LEEWAY
from flxdr.platform.models import UsedToken

_SYSTEM_CLOCK = SystemClock()


def purge_spent_tokens(*, clock: Clock = _SYSTEM_CLOCK) -> int:
    """Delete the rows of tokens that expired: those are refused by their time. Returns how many."""
    deleted, _ = UsedToken.objects.filter(expires_at__lt=clock.now() - 2 * LEEWAY).delete()
    return deleted
