"""Organisations: who they are, who may take part."""

from __future__ import annotations

from typing import Any

import ledger.selectors
from federation.models import Organization
from flxdr.core.clock import format_timestamp
from flxdr.core.keys import PublicKey


def signing_keys(org_id: str) -> list[PublicKey]:
    """The proven keys of an organisation; empty for unknown, key-less and unproven ones."""
    organization = Organization.objects.filter(org_id=org_id).first()
    return [] if organization is None else proven_keys(organization)


def proven_keys(organization: Organization) -> list[PublicKey]:
    """The keys whose possession an organisation proved: one, or none."""
    if organization.key_status != Organization.KeyStatus.PROVEN or organization.public_key is None:
        return []
    return [PublicKey.from_spki(bytes(organization.public_key))]


def eligible_organizations() -> list[Organization]:
    """Active organisations that a round which starts now would have: members of the chain, and those without a key.

    One whose proven key is not admitted yet waits for the first round after its admission.
    """
    members = ledger.selectors.members()
    active = Organization.objects.filter(status=Organization.Status.ACTIVE).order_by("org_id")
    return [
        organization
        for organization in active
        if organization.key_status != Organization.KeyStatus.PROVEN or organization.org_id in members
    ]


def organizations_page(*, limit: int, offset: int) -> dict[str, Any]:
    """Organisations by name, as the guide's list shows them."""
    rows = Organization.objects.order_by("org_id")
    return {
        "organizations": [
            {
                "org_id": organization.org_id,
                "status": organization.status,
                "last_update": format_timestamp(organization.last_update_at) if organization.last_update_at else None,
                "org_name": organization.name,
                "key_status": organization.key_status,
                "registered_at": format_timestamp(organization.registered_at),
            }
            for organization in rows[offset : offset + limit]
        ],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }
