"""Organisations as operators look for them: by state, key and name, each with why it is shown as it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Case, Count, Q, QuerySet, Value, When

from federation.errors import OrganizationMissing
from federation.models import Organization
from federation.selectors.overview import DISCONNECTED_AFTER, OrganizationGlance, glance_of

STATES: Final = ("connected", "disconnected", "never connected", "pending", "suspended")


@dataclass(frozen=True)
class OrganizationFilter:
    """Which organisations to list; an empty field lets all pass.

    Attributes:
        state: one of `STATES`; another one lets none pass.
        search: part of the name or the id.
    """

    state: str = ""
    key_status: str = ""
    search: str = ""

    def apply(self, rows: QuerySet[Organization], now: datetime) -> QuerySet[Organization]:
        if self.state:
            rows = rows.filter(_in_state(now).get(self.state, Q(pk__in=())))
        if self.key_status:
            rows = rows.filter(key_status=self.key_status)
        if self.search:
            rows = rows.filter(Q(org_id__icontains=self.search) | Q(name__icontains=self.search))
        return rows


def organizations_matching(
    wanted: OrganizationFilter, now: datetime, *, limit: int, offset: int
) -> tuple[list[OrganizationGlance], int]:
    """Organisations that pass, by name, and how many there are."""
    rows = wanted.apply(Organization.objects.order_by("org_id"), now)
    return [glance_of(organization, now) for organization in rows[offset : offset + limit]], rows.count()


def organizations_by_state(now: datetime) -> dict[str, int]:
    """How many organisations are in each of `STATES`."""
    conditions = _in_state(now)
    counted = Organization.objects.aggregate(
        **{f"in_{number}": Count("pk", filter=conditions[state]) for number, state in enumerate(STATES)}
    )
    return {state: counted[f"in_{number}"] for number, state in enumerate(STATES)}


def organizations_to_look_at(now: datetime, *, at_most: int) -> list[OrganizationGlance]:
    """Organisations that wait for approval, fell silent, or were never heard of: in this order, then by name."""
    conditions = _in_state(now)
    asking = [conditions[state] for state in ("pending", "disconnected", "never connected")]
    rank = Case(*(When(condition, then=Value(place)) for place, condition in enumerate(asking)), default=None)
    rows = Organization.objects.annotate(rank=rank).filter(rank__isnull=False).order_by("rank", "org_id")
    return [glance_of(organization, now) for organization in rows[:at_most]]


def organization_by_id(org_id: str) -> Organization:
    """One organisation.

    Raises:
        OrganizationMissing: there is none of that id.
    """
    organization = Organization.objects.filter(org_id=org_id).first()
    if organization is None:
        raise OrganizationMissing(f"no organization {org_id[:80]!r}")
    return organization


def _in_state(now: datetime) -> dict[str, Q]:
    """What `glance_of` tells apart, as conditions; in the order of `STATES`."""
    active = Q(status=Organization.Status.ACTIVE)
    heard = now - DISCONNECTED_AFTER
    return {
        "connected": active & Q(last_seen_at__gte=heard),
        "disconnected": active & Q(last_seen_at__lt=heard),
        "never connected": active & Q(last_seen_at__isnull=True),
        "pending": Q(status=Organization.Status.PENDING),
        "suspended": Q(status=Organization.Status.SUSPENDED),
    }
