"""Enrolment tokens: those that wait to be used, and what became of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db.models import Case, IntegerField, Q, Value, When

from federation.models import EnrolmentToken


@dataclass(frozen=True)
class TokenEntry:
    """A token; its secret is known to nobody here."""

    token: EnrolmentToken
    state: Literal["usable", "used", "expired"]


def enrolment_tokens_page(now: datetime, *, limit: int, offset: int) -> tuple[Sequence[TokenEntry], int]:
    """Tokens that can still be used first, then the newest of the others; and how many there are."""
    usable = Q(used_at__isnull=True, expires_at__gt=now)
    place = Case(When(usable, then=Value(0)), default=Value(1), output_field=IntegerField())
    rows = EnrolmentToken.objects.order_by(place, "-pk")
    return [_entry(token, now) for token in rows[offset : offset + limit]], rows.count()


def _entry(token: EnrolmentToken, now: datetime) -> TokenEntry:
    if token.used_at is not None:
        return TokenEntry(token, "used")
    return TokenEntry(token, "usable" if token.expires_at > now else "expired")
