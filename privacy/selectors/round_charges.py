"""What one round charged, and to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from privacy.dp.accountant import epsilon_ppm
from privacy.dp.composition import PPM
from privacy.mechanism import parse
from privacy.models import BudgetEntry

Kind = BudgetEntry.Kind
_LATEST = (Kind.RESERVED, Kind.RELEASED, Kind.SPENT, Kind.UNPROTECTED)


def round_charges(round_id: str, org_ids: Sequence[str] | None = None) -> Mapping[str, str]:
    """By organisation, how its charge for a round stands: reserved, spent, released or unprotected.

    Args:
        org_ids: whom to look at; None: everybody.
    """
    entries = BudgetEntry.objects.filter(round_id=round_id)
    if org_ids is not None:
        entries = entries.filter(account__org_id__in=org_ids)
    found: dict[str, str] = {}
    for name, kind in entries.values_list("account__org_id", "kind"):
        found[name] = max(found.get(name, kind), kind, key=_LATEST.index)
    return found


def cost_of(mechanism: Mapping[str, Any]) -> float | None:
    """The epsilon of one round of a mechanism alone, at the settings' delta; None where it gives no guarantee."""
    parsed = parse(mechanism)
    return None if parsed is None else epsilon_ppm([parsed.release], settings.FLXDR.privacy_delta) / PPM
