"""The list of organisations, put together: each with its state and what is left of its budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

import privacy.selectors
from federation.models import Organization
from federation.selectors.organization_list import OrganizationFilter, organizations_matching
from privacy.dp.accountant import epsilon_ppm
from privacy.dp.composition import PPM


@dataclass(frozen=True)
class OrganizationRow:
    """An organisation's line: its state with the reason, and the epsilon that its budget has left."""

    organization: Organization
    state: str
    reason: str
    budget_left: float


def organization_rows(
    wanted: OrganizationFilter, now: datetime, *, limit: int, offset: int
) -> tuple[Sequence[OrganizationRow], int]:
    """The organisations that pass, by name, and how many there are."""
    glances, total = organizations_matching(wanted, now, limit=limit, offset=offset)
    left = _budgets_left([glance.organization.org_id for glance in glances])
    rows = [
        OrganizationRow(glance.organization, glance.state, glance.reason, left[glance.organization.org_id])
        for glance in glances
    ]
    return rows, total


def _budgets_left(org_ids: Sequence[str]) -> dict[str, float]:
    charged = privacy.selectors.charged(org_ids)
    limit, delta = privacy.selectors.limit_ppm(), settings.FLXDR.privacy_delta
    return {
        org_id: max(0, limit - epsilon_ppm(charged[org_id], delta)) / PPM if org_id in charged else limit / PPM
        for org_id in org_ids
    }
