"""Who takes part in a round, how each update looked beside the others, and whether it counted."""

from __future__ import annotations

from typing import Any

from federation.errors import NotAParticipant
from federation.models import Participant
from federation.selectors.rounds import round_by_id


def participants_page(round_id: str, *, org_id: str | None, limit: int, offset: int) -> dict[str, Any]:
    """A round's participants by name.

    Norm, cosine, distance and score are null before the aggregation (the norm before the submission).

    Args:
        org_id: the organisation that asks, which sees its own row alone; None for an operator, who sees all.

    Raises:
        RoundMissing: there is no such round.
        NotAParticipant: the organisation takes no part in it.
    """
    training_round = round_by_id(round_id)
    rows = training_round.participants.select_related("organization").order_by("organization__org_id")
    if org_id is not None:
        rows = rows.filter(organization__org_id=org_id)
        if not rows.exists():
            raise NotAParticipant(
                f"{org_id} is no participant of {round_id}", expected="a round in which the organization takes part"
            )
    return {
        "round_id": round_id,
        "participants": [_participant(row) for row in rows[offset : offset + limit]],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }


def _participant(row: Participant) -> dict[str, Any]:
    organization = row.organization
    return {
        "org_id": organization.org_id,
        "status": row.status,
        "update_norm": row.update_norm,
        "cosine": row.cosine,
        "distance": row.distance,
        "anomaly_score": row.anomaly_score,
        "left_out_reason": row.left_out_reason or None,
        "reputation": {
            "accepted": organization.accepted_count,
            "left_out": organization.left_out_count,
            "missed": organization.missed_count,
            "rejected": organization.rejected_count,
        },
    }
